//! What is known of each registry, where it is known from, and how far to trust it.

/// A statement about a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fact {
    /// The registry, as [`Profile::name`](super::Profile::name) has it.
    pub registry: &'static str,
    /// The statement.
    pub text: &'static str,
    /// Where it was reported: repository and number.
    pub sources: &'static [&'static str],
    /// How far it is to be trusted.
    pub mark: Mark,
    /// Whether the double behaves so.
    pub modelled: Modelled,
}

/// How far a statement is to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are three marks")]
pub enum Mark {
    /// Somebody reported it in public.
    Reported,
    /// General knowledge, not checked again.
    General,
    /// Reports contradict each other.
    Contested,
}

/// Whether a double behaves as a statement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are three answers")]
pub enum Modelled {
    /// It does, and the suite runs on it.
    Yes,
    /// There is a double for each side.
    BothWays,
    /// It is only written down.
    No,
}

const fn fact(
    registry: &'static str,
    modelled: Modelled,
    mark: Mark,
    text: &'static str,
    sources: &'static [&'static str],
) -> Fact {
    Fact {
        registry,
        text,
        sources,
        mark,
        modelled,
    }
}

use Mark::{Contested, General, Reported};
use Modelled::{BothWays, No, Yes};

/// Every statement, registry by registry.
#[rustfmt::skip]
pub(super) const FACTS: &[Fact] = &[
    fact("Docker Hub", Yes, General, "Is called `docker.io` and reached at `registry-1.docker.io`; short names stand for `library/`.", &[]),
    fact("Docker Hub", Yes, Reported, "Tokens come from `auth.docker.io` for the service `registry.docker.io` and live 300 s.", &["GoogleContainerTools/jib#691"]),
    fact("Docker Hub", Yes, Reported, "A repository in the scope that it does not know makes the whole token request fail, which is what a mount from elsewhere meets.", &["google/go-containerregistry#1679", "google/go-containerregistry#1681", "google/go-containerregistry#1741"]),
    fact("Docker Hub", Yes, Reported, "HEAD of a manifest without the `Accept` of the GET answers for another, converted manifest.", &["ocync notes"]),
    fact("Docker Hub", Yes, Reported, "Answers carry `ratelimit-limit`, `ratelimit-remaining` and `docker-ratelimit-source`.", &["docker/hub-feedback#2464"]),
    fact("Docker Hub", No, Reported, "Its 429 against abuse is plain text, once seen with bare line feeds in the head.", &["docker/hub-feedback#1907"]),
    fact("Docker Hub", Yes, General, "Blobs are redirected to storage on another host with a signed query.", &[]),
    fact("GHCR", Yes, Reported, "A chunk with `Content-Range` may have 4 MiB; a larger one is answered 416 \"request body too large\".", &["oras-project/rust-oci-client#35", "ocx#237"]),
    fact("GHCR", BothWays, Contested, "Several PATCHes lose the earlier chunks, or they do not.", &["ocync notes", "ocx#267"]),
    fact("GHCR", Yes, Reported, "Upload locations have `/blobs/upload/`, in the singular.", &["ocx#267"]),
    fact("GHCR", Yes, Reported, "Mounts work within one owner.", &["ocync notes"]),
    fact("GHCR", Yes, General, "There is no referrers API.", &[]),
    fact("GHCR", No, Reported, "The hint after too many requests stands in the body, as `retry-after: 880.092µs, allowed: 44000/minute`. The fault matrix has it.", &["dependabot/cli#380"]),
    fact("Amazon ECR", Yes, Reported, "Takes Basic and has no token server.", &["rules_img documentation"]),
    fact("Amazon ECR", Yes, Reported, "PATCH is answered 201.", &["jdx/mise#11376", "regclient blob.go"]),
    fact("Amazon ECR", Yes, Reported, "`Range` sticks at the first chunk though the data is stored.", &["aws/containers-roadmap#2831", "crashappsec/chalk#682"]),
    fact("Amazon ECR", Yes, Reported, "Every chunk but the last must have 5 MB.", &["dotnet/sdk-container-builds#424"]),
    fact("Amazon ECR", Yes, Reported, "Mounts answer 202 until a manifest in the source names the blob.", &["ocync notes"]),
    fact("Amazon ECR", Yes, Reported, "The repository must exist.", &["bazelbuild/rules_docker#2049"]),
    fact("Amazon ECR", Yes, Reported, "A tag that may not move is refused for the same digest too, with `ImageTagAlreadyExists`.", &["aws/containers-roadmap#2380"]),
    fact("Amazon ECR", Yes, Reported, "Lists with `n` above 1000 are refused.", &["google/go-containerregistry#1091"]),
    fact("Amazon ECR", No, Reported, "Writes are limited by kind: about 10 manifests, 100 starts and 500 chunks a second.", &["ocync notes"]),
    fact("ECR Public", Yes, Reported, "Takes tokens, which the anonymous get too.", &["ocync notes"]),
    fact("ECR Public", Yes, Reported, "Uploads go as those of ECR.", &["ocync notes"]),
    fact("Google Artifact Registry", Yes, Reported, "POST to the token server is answered 405; GET with Basic works.", &["bazel-contrib/rules_img#633"]),
    fact("Google Artifact Registry", Yes, Reported, "There are no chunks: one POST, one PUT with the whole blob and its length.", &["oras-project/rust-oci-client#175", "oras-project/rust-oci-client#177"]),
    fact("Google Artifact Registry", BothWays, Contested, "Mounts work, or were never seen to.", &["rules_img documentation", "ocync notes"]),
    fact("Google Artifact Registry", No, General, "Tags can be immutable, and lists of tags carry members of Google's own.", &[]),
    fact("Azure Container Registry", Yes, Reported, "The user is `00000000-0000-0000-0000-000000000000` with a refresh token, which the token server takes by POST; GET with a wrong Basic is 401.", &["bazel-contrib/rules_oci#475"]),
    fact("Azure Container Registry", Yes, Reported, "An `Authorization` above 6 KB is answered 400.", &["Azure/acr#797"]),
    fact("Azure Container Registry", BothWays, Contested, "A PUT with more than 20 MB is answered 413, or goes through.", &["goharbor/harbor#23015", "Azure/acr#866"]),
    fact("Azure Container Registry", Yes, Reported, "`Content-Range` must be `A-B`; the form of HTTP is refused.", &["dotnet/sdk-container-builds#258"]),
    fact("Azure Container Registry", Yes, Reported, "Upload locations have a query already, `?_nouploadcache=false&_state=…`.", &["Azure/acr#866"]),
    fact("Quay", Yes, Reported, "Tokens come from `/v2/auth` on the registry itself.", &["oras-project/oras#738"]),
    fact("Quay", No, Reported, "Artifacts with an unknown type of config may be refused, by configuration.", &["oras-project/oras#738", "deckhouse/deckhouse#10672"]),
    fact("Quay", Yes, General, "Robots are called `namespace+robot`.", &[]),
    fact("Quay", Yes, Reported, "A mount without `from` was answered 400.", &["quay/quay#899"]),
    fact("Artifactory", Yes, Reported, "An `Accept` on uploads is answered 406.", &["dotnet/sdk-container-builds#382", "kubewarden/kwctl#59"]),
    fact("Artifactory", Yes, Reported, "POST and PUT with the body was once answered 404 `BLOB_UNKNOWN` where POST, PATCH and PUT worked.", &["docker/buildx#196"]),
    fact("Artifactory", Yes, Reported, "Refuses all mounts.", &["rules_img documentation"]),
    fact("Artifactory", No, Reported, "Cannot read the `history` of some configs.", &["dotnet/sdk-container-builds#382", "GoogleContainerTools/jib#1445"]),
    fact("Artifactory", No, Reported, "Can block the push of tags that exist.", &["replicatedhq/kots#5940"]),
    fact("Harbor", Yes, Reported, "Public pulls need a token too, from `/service/token`.", &["bazel-contrib/rules_oci#801"]),
    fact("Harbor", Yes, Reported, "A mount needs `pull` on the source in the same token.", &["bazel-contrib/rules_img#751"]),
    fact("Harbor", Yes, Reported, "A mount from an unknown source is answered 400 or 401, not 202.", &["goharbor/harbor#22078", "google/go-containerregistry#1393"]),
    fact("Harbor", Yes, Reported, "GET of a manifest without `Accept` is refused.", &["bazel-contrib/rules_img#442", "bazel-contrib/rules_img#559"]),
    fact("Harbor", Yes, General, "A tag that may not move is answered 412.", &["replicatedhq/kots#5940"]),
    fact("Harbor", No, Reported, "Behind a proxy the realm may be plain http. The security table has it.", &["goharbor/harbor#19787"]),
    fact("GitLab", Yes, Reported, "Tokens come from `/jwt/auth` on the site's own host and live 5 minutes, less than a long upload.", &["moby/moby#33558"]),
    fact("GitLab", Yes, Reported, "Token requests that repeat scopes until they are too long are refused.", &["regclient/regclient#189"]),
    fact("GitLab", Yes, General, "Mounts work as in the registry that it is a fork of.", &[]),
    fact("zot", Yes, General, "Takes Basic, tokens, client certificates and API keys; the double takes Basic.", &[]),
    fact("zot", Yes, Reported, "Chunks with a wrong range are answered 416.", &["opencontainers/distribution-spec#590"]),
    fact("zot", Yes, Reported, "Docker's types are answered 415 unless it is told to be compatible.", &["bazel-contrib/rules_oci#87"]),
    fact("zot", Yes, Reported, "A tag cannot get a manifest of another type: 400.", &["project-zot/zot#3005"]),
    fact("distribution", Yes, General, "Is open, asks for Basic, or for tokens.", &[]),
    fact("distribution", Yes, Reported, "Upload locations have `?_state=`, to which `digest` is appended.", &["opencontainers/distribution-spec#590"]),
    fact("distribution", Yes, General, "Locations are relative with `relativeurls`.", &[]),
    fact("distribution", No, Reported, "A single POST with the blob as its body only starts a session.", &["distribution/distribution#1170"]),
    fact("distribution", No, Reported, "The last PUT with a wrong range is answered 400 and yet appends.", &["opencontainers/distribution-spec#590"]),
];
