//! The doubles themselves: what each row of facts is as settings.

use std::time::Duration;

use super::super::customs::{Customs, LocationForm, Mounts, Patch, RangeSays};
use super::super::{Challenge, ExpiresIn, Insufficient, Post, TokenField, TokenOptions};
use super::{Login, PASSWORD, Profile, USER};

const MIB: u64 = 1024 * 1024;

pub(super) fn profiles() -> Vec<Profile> {
    let mut profiles = vec![
        docker_hub(),
        ghcr(false),
        ghcr(true),
        ecr(false),
        ecr(true),
        ecr_public(),
        gar(true),
        gar(false),
        acr(true),
        acr(false),
        quay(),
        artifactory(false),
        artifactory(true),
        harbor(400),
        harbor(401),
        gitlab(),
        zot(),
    ];
    profiles.extend(distribution());
    profiles
}

fn profile(name: &'static str, host: &'static str, origin: &'static str) -> Profile {
    Profile {
        name,
        variant: None,
        host,
        origin,
        repository: "team/app",
        sibling: "team/base",
        login: Login::Basic,
        customs: Customs::default(),
    }
}

fn tokens(
    realm: &'static str,
    service: &'static str,
    change: impl FnOnce(&mut TokenOptions),
) -> Login {
    let mut options = TokenOptions {
        service: Some(service.to_owned()),
        ..TokenOptions::default()
    };
    options.users.insert(USER.into(), PASSWORD.into());
    change(&mut options);
    Login::Tokens {
        realm,
        service,
        options: Box::new(options),
        challenge: Challenge::Plain,
        insufficient: Insufficient::Challenge,
    }
}

fn docker_hub() -> Profile {
    let mut hub = profile("Docker Hub", "docker.io", "https://registry-1.docker.io");
    hub.login = tokens(
        "https://auth.docker.io/token",
        "registry.docker.io",
        |options| {
            options.field = TokenField::Both;
            options.fatal_repositories.push("elsewhere/base".into());
        },
    );
    hub.customs.uploads.location = LocationForm::Absolute;
    hub.customs.manifests.converts_without_accept = true;
    hub.customs.manifests.rate_limit_headers = true;
    hub.customs.blobs.storage = Some("https://production.cloudflare.docker.com".into());
    hub
}

fn ghcr(forgets: bool) -> Profile {
    let mut ghcr = profile("GHCR", "ghcr.io", "https://ghcr.io");
    ghcr.variant = Some(if forgets {
        "forgets earlier chunks"
    } else {
        "keeps chunks"
    });
    ghcr.login = tokens("https://ghcr.io/token", "ghcr.io", |options| {
        options.expires_in = ExpiresIn::Absent;
    });
    ghcr.customs.uploads.location = LocationForm::Singular;
    ghcr.customs.uploads.max_chunk = Some(4 * MIB);
    ghcr.customs.uploads.forgets_earlier_chunks = forgets;
    ghcr.customs.mounts = Mounts::SameOwner;
    ghcr.customs.manifests.no_referrers = true;
    ghcr.customs.blobs.storage = Some("https://pkg-containers.githubusercontent.com".into());
    ghcr
}

fn ecr(immutable: bool) -> Profile {
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let origin = "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let mut ecr = profile("Amazon ECR", host, origin);
    ecr.variant = Some(if immutable {
        "immutable tags"
    } else {
        "tags that move"
    });
    ecr_uploads(&mut ecr);
    ecr.customs.uploads.only_repositories = vec!["team/app".into(), "team/base".into()];
    ecr.customs.mounts = Mounts::CommittedOnly;
    if immutable {
        ecr.customs.manifests.immutable_tags = Some((400, "ImageTagAlreadyExists"));
    }
    ecr.customs.blobs.storage =
        Some("https://prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com".into());
    ecr
}

fn ecr_public() -> Profile {
    let mut public = profile("ECR Public", "public.ecr.aws", "https://public.ecr.aws");
    public.login = tokens("https://public.ecr.aws/token/", "public.ecr.aws", |_| {});
    ecr_uploads(&mut public);
    public.customs.mounts = Mounts::Ignored;
    public
}

fn ecr_uploads(profile: &mut Profile) {
    profile.customs.uploads.location = LocationForm::Absolute;
    profile.customs.uploads.patch = Patch::Answered(201);
    profile.customs.uploads.range = RangeSays::FirstChunk;
    profile.customs.uploads.min_chunk = Some(5_000_000);
    profile.customs.manifests.max_page = Some(1000);
}

fn gar(mounts: bool) -> Profile {
    let host = "europe-docker.pkg.dev";
    let mut gar = profile(
        "Google Artifact Registry",
        host,
        "https://europe-docker.pkg.dev",
    );
    gar.variant = Some(if mounts { "mounts" } else { "never mounts" });
    gar.repository = "project/repository/app";
    gar.sibling = "project/repository/base";
    gar.login = tokens("https://europe-docker.pkg.dev/v2/token", host, |options| {
        options.post = Post::MethodNotAllowed;
        options.expires_in = ExpiresIn::Seconds(3600);
        options.life = Duration::from_secs(3600);
    });
    gar.customs.uploads.patch = Patch::Refused(405);
    gar.customs.uploads.strict_put = true;
    gar.customs.uploads.location = LocationForm::Absolute;
    if !mounts {
        gar.customs.mounts = Mounts::Ignored;
    }
    gar.customs.blobs.storage = Some("https://storage.googleapis.com".into());
    gar
}

fn acr(refuses_large: bool) -> Profile {
    let mut acr = profile(
        "Azure Container Registry",
        "team.azurecr.io",
        "https://team.azurecr.io",
    );
    acr.variant = Some(if refuses_large {
        "refuses large PUTs"
    } else {
        "takes large PUTs"
    });
    acr.login = tokens(
        "https://team.azurecr.io/oauth2/token",
        "team.azurecr.io",
        |options| {
            options.identity_tokens.push(PASSWORD.into());
            options.users.insert(
                "00000000-0000-0000-0000-000000000000".into(),
                PASSWORD.into(),
            );
            options.field = TokenField::AccessToken;
            options.expires_in = ExpiresIn::Seconds(75 * 60);
            options.life = Duration::from_secs(75 * 60);
            options.max_authorization = 6 * 1024;
        },
    );
    acr.customs.uploads.location = LocationForm::TwoParameters;
    acr.customs.uploads.wants_bare_content_range = true;
    if refuses_large {
        acr.customs.uploads.max_put = Some(20 * MIB);
    }
    acr.customs.blobs.storage = Some("https://eusmanaged1.blob.core.windows.net".into());
    acr
}

fn quay() -> Profile {
    let mut quay = profile("Quay", "quay.io", "https://quay.io");
    quay.login = tokens("https://quay.io/v2/auth", "quay.io", |options| {
        options.users.insert("team+robot".into(), PASSWORD.into());
    });
    quay.customs.mounts = Mounts::NeedsSource(400);
    quay.customs.blobs.storage = Some("https://cdn01.quay.io".into());
    quay
}

fn artifactory(refuses_whole_put: bool) -> Profile {
    let mut artifactory = profile("Artifactory", "team.jfrog.io", "https://team.jfrog.io");
    artifactory.variant = Some(if refuses_whole_put {
        "refuses whole PUTs"
    } else {
        "takes whole PUTs"
    });
    artifactory.repository = "docker-local/app";
    artifactory.sibling = "docker-local/base";
    artifactory.login = tokens(
        "https://team.jfrog.io/v2/token",
        "team.jfrog.io",
        |options| {
            options.anonymous = false;
        },
    );
    artifactory.customs.uploads.refuses_accept = true;
    artifactory.customs.uploads.refuses_whole_put = refuses_whole_put;
    artifactory.customs.uploads.location = LocationForm::Bare;
    artifactory.customs.mounts = Mounts::Refused(405);
    artifactory
}

fn harbor(unknown_source: u16) -> Profile {
    let mut harbor = profile("Harbor", "harbor.example.com", "https://harbor.example.com");
    harbor.variant = Some(match unknown_source {
        400 => "400 for unknown sources",
        _ => "401 for unknown sources",
    });
    let realm = "https://harbor.example.com/service/token";
    harbor.login = tokens(realm, "harbor-registry", |options| {
        options.expires_in = ExpiresIn::Seconds(1800);
        options.life = Duration::from_secs(1800);
    });
    harbor.customs.uploads.location = LocationForm::Absolute;
    harbor.customs.mounts = Mounts::UnknownSource(unknown_source);
    harbor.customs.manifests.needs_accept = true;
    harbor.customs.manifests.immutable_tags = Some((412, "PRECONDITION"));
    harbor
}

fn gitlab() -> Profile {
    let mut gitlab = profile(
        "GitLab",
        "registry.gitlab.com",
        "https://registry.gitlab.com",
    );
    gitlab.login = tokens(
        "https://gitlab.com/jwt/auth",
        "container_registry",
        |options| {
            options.max_target = 1024;
            options.life = Duration::from_secs(300);
        },
    );
    gitlab.customs.uploads.location = LocationForm::Absolute;
    gitlab.customs.blobs.storage = Some("https://cdn.registry.gitlab-static.net".into());
    gitlab
}

fn zot() -> Profile {
    let mut zot = profile("zot", "zot.example.com", "https://zot.example.com");
    zot.customs.uploads.location = LocationForm::Bare;
    zot.customs.manifests.refuses_docker_types = true;
    zot.customs.manifests.refuses_retyping = true;
    zot
}

fn distribution() -> [Profile; 3] {
    let origin = "http://localhost:5000";
    let mut open = profile("distribution", "localhost:5000", origin);
    open.variant = Some("open");
    open.login = Login::Open;
    open.customs.uploads.location = LocationForm::Absolute;
    let mut basic = profile(
        "distribution",
        "registry.example.com",
        "https://registry.example.com",
    );
    basic.variant = Some("htpasswd");
    basic.customs.uploads.location = LocationForm::Relative;
    let mut token = basic.clone();
    token.variant = Some("tokens");
    token.login = tokens(
        "https://auth.example.com/token",
        "registry.example.com",
        |_| {},
    );
    token.customs.uploads.location = LocationForm::Absolute;
    [open, basic, token]
}
