//! `img deploy`: what deploy manifests say, on a registry.

use std::path::Path;

use fs_err as fs;
use imgcore::Descriptor;
use imgtest::image::{Image, ImageIndex, index_of, write_layout};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::push::{pulled, writes};
use super::registry::Served;
use super::{fail, image, img, run, succeed};

fn three() -> (Vec<Image>, ImageIndex) {
    let images: Vec<Image> = ["amd64", "arm64", "riscv64"]
        .map(|architecture| image(architecture, 1000))
        .into();
    let index = index_of(&images);
    (images, index)
}

fn descriptor(descriptor: &Descriptor) -> Value {
    json!({
        "mediaType": descriptor.media_type.as_str(),
        "digest": descriptor.digest.to_string(),
        "size": descriptor.size,
    })
}

fn manifest(image: &Image) -> Value {
    json!({
        "descriptor": descriptor(&image.manifest),
        "config": descriptor(&image.config),
        "layer_blobs": image.layers.iter().map(descriptor).collect::<Vec<_>>(),
    })
}

pub(crate) fn push(root: &Descriptor, images: &[Image], to: (&str, &str), tags: &[&str]) -> Value {
    let is_index = root.media_type.is_index();
    json!({
        "command": "push",
        "root_kind": if is_index { "index" } else { "manifest" },
        "root": descriptor(root),
        "manifests": images.iter().map(manifest).collect::<Vec<_>>(),
        "registry": to.0,
        "repository": to.1,
        "tags": tags,
    })
}

pub(crate) fn request(operations: &[Value]) -> Value {
    json!({"operations": operations, "settings": {"push_strategy": "eager"}})
}

fn write(directory: &Path, name: &str, request: &Value) {
    fs::write(directory.join(name), request.to_string()).unwrap();
}

/// A directory with the blobs of an index, and a request that pushes it.
fn prepared(served: &Served) -> (TempDir, Vec<Image>, ImageIndex) {
    let (images, index) = three();
    let directory = TempDir::new().unwrap();
    write_layout(
        &directory.path().join("layout"),
        &index.blobs,
        &index.index,
        "image",
    );
    let push = push(&index.index, &images, (served.host(), "team/app"), &["v7"]);
    write(directory.path(), "push.json", &request(&[push]));
    (directory, images, index)
}

#[test]
fn an_index_is_pushed_as_its_request_says() {
    let served = Served::start();
    let (directory, _, index) = prepared(&served);
    let words = "deploy --request-file push.json --oci-layout layout";
    let stdout = succeed(directory.path(), words);
    let name = format!("{}/team/app:v7", served.host());
    assert_eq!(stdout, format!("{name}@{}\n", index.index.digest));
    let digest = index.index.digest.to_string();
    assert_eq!(pulled(directory.path(), &name), digest);
    served.asked();
    assert_eq!(succeed(directory.path(), words), stdout);
    let asked = served.asked();
    assert_eq!(writes(&asked), Vec::<&String>::new(), "{asked:#?}");
}

#[test]
fn the_command_line_says_where_it_goes_and_adds_tags() {
    let served = Served::start();
    let (images, index) = three();
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("layout");
    write_layout(&path, &index.blobs, &index.index, "image");
    let nowhere = push(&index.index, &images, ("r.invalid", "team/app"), &["v7"]);
    write(directory.path(), "push.json", &request(&[nowhere]));
    let words = format!(
        "deploy --request-file=push.json --oci-layout=layout --registry={} --repository other -t more",
        served.host()
    );
    let stdout = succeed(directory.path(), &words);
    let digest = index.index.digest;
    let name = format!("{}/other", served.host());
    assert_eq!(
        stdout,
        format!("{name}:more@{digest}\n{name}:v7@{digest}\n")
    );
    assert_eq!(
        pulled(directory.path(), &format!("{name}:more")),
        digest.to_string()
    );
}

#[test]
fn manifests_of_an_index_get_their_tags() {
    let served = Served::start();
    let (directory, images, index) = prepared(&served);
    let to = (served.host(), "team/app");
    let mut tag = push(&images[1].manifest, &[], to, &["v7-arm64"]);
    tag["command"] = "registry_tag".into();
    tag["manifests"] = Value::Null;
    let whole = push(&index.index, &images, to, &["v7"]);
    write(directory.path(), "push.json", &request(&[whole, tag]));
    let words = "deploy --request-file push.json --oci-layout layout";
    let stdout = succeed(directory.path(), words);
    let name = format!("{}/team/app:v7-arm64", served.host());
    let digest = images[1].manifest.digest.to_string();
    assert!(stdout.contains(&format!("{name}@{digest}\n")), "{stdout}");
    assert_eq!(pulled(directory.path(), &name), digest);
}

#[test]
fn layers_come_from_where_they_are_named() {
    let served = Served::start();
    let (images, index) = three();
    let directory = TempDir::new().unwrap();
    let work = directory.path();
    let layer = |at: usize| images[at].blob(&images[at].layers[0]);
    let hex = |at: usize| images[at].layers[0].digest.hex();
    // A layout without layers; one layer is a file with its digest, one a file without, one in a disk cache.
    let mut blobs = index.blobs.clone();
    for image in &images {
        blobs.remove(&image.layers[0].digest);
    }
    write_layout(&work.join("sparse"), &blobs, &index.index, "image");
    fs::write(work.join("one"), layer(0)).unwrap();
    fs::write(work.join("two"), layer(1)).unwrap();
    let cas = work.join("disk/cas").join(&hex(2)[..2]);
    fs::create_dir_all(&cas).unwrap();
    fs::write(cas.join(hex(2)), layer(2)).unwrap();
    let push = push(&index.index, &images, (served.host(), "app"), &["v7"]);
    write(work, "push.json", &request(&[push]));
    let words = format!(
        "deploy --request-file push.json --oci-layout sparse --layer sha256:{}=one --layer two",
        hex(0)
    );
    let without = fail(work, &words);
    assert!(without.contains(&hex(2)), "{without}");
    for place in ["--layer", "sparse"] {
        assert!(without.contains(place), "{place} is not in: {without}");
    }
    let output = img(work)
        .args(words.split(' '))
        .env("IMG_DISK_CACHE", work.join("disk"))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("from disk cache "), "{stderr}");
    let name = format!("{}/app:v7", served.host());
    assert_eq!(pulled(work, &name), index.index.digest.to_string());
}

/// Puts what a build leaves beside its program there.
fn runfiles(work: &Path, index: &ImageIndex, images: &[Image]) {
    let mut blobs = index.blobs.clone();
    for image in images {
        blobs.remove(&image.layers[0].digest);
    }
    let root = work.join("push.runfiles");
    write_layout(
        &root.join("p_0/sparse_oci_layout"),
        &blobs,
        &index.index,
        "image",
    );
    for (at, image) in images.iter().enumerate() {
        let layers = root.join(format!("p_0/manifests/{at}/layer"));
        fs::create_dir_all(&layers).unwrap();
        fs::write(layers.join("0"), image.blob(&image.layers[0])).unwrap();
    }
}

#[test]
fn runfiles_have_everything_that_a_build_prepared() {
    let served = Served::start();
    let (images, index) = three();
    let directory = TempDir::new().unwrap();
    let work = directory.path();
    runfiles(work, &index, &images);
    let push = push(&index.index, &images, (served.host(), "app"), &["v7"]);
    write(work, "push.json", &request(&[push]));
    let words = "deploy --request-file push.json --runfiles-root-symlinks-prefix p_";
    let output = img(work)
        .args(words.split(' '))
        .env("RUNFILES_DIR", work.join("push.runfiles"))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("from runfiles"), "{stderr}");
    let name = format!("{}/app:v7", served.host());
    assert_eq!(pulled(work, &name), index.index.digest.to_string());
}

#[test]
fn hints_count_for_the_bytes_that_were_meant_alone() {
    let served = Served::start();
    let (images, index) = three();
    let directory = TempDir::new().unwrap();
    let work = directory.path();
    runfiles(work, &index, &images);
    let root = work.join("push.runfiles");
    fs::remove_file(root.join("p_0/manifests/1/layer/0")).unwrap();
    let digest = images[1].layers[0].digest;
    let hints = format!("{digest}\0bazel-out/old\0bazel-out/new\n");
    fs::write(root.join("p_layer_hints"), hints).unwrap();
    let out = work.join("workspace/bazel-out");
    fs::create_dir_all(&out).unwrap();
    // Another build wrote something of the same length there.
    let layer = images[1].blob(&images[1].layers[0]);
    fs::write(out.join("old"), vec![0; layer.len()]).unwrap();
    let push = push(&index.index, &images, (served.host(), "app"), &["v7"]);
    write(work, "push.json", &request(&[push]));
    let words = "deploy --request-file push.json --runfiles-root-symlinks-prefix p_";
    let deploy = || {
        img(work)
            .args(words.split(' '))
            .env("RUNFILES_DIR", &root)
            .env("BUILD_WORKSPACE_DIRECTORY", work.join("workspace"))
            .output()
            .unwrap()
    };
    assert_eq!(deploy().status.code(), Some(1));
    fs::write(out.join("new"), layer).unwrap();
    let output = deploy();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("from layer hints"), "{stderr}");
    let name = format!("{}/app:v7", served.host());
    assert_eq!(pulled(work, &name), index.index.digest.to_string());
}

#[test]
fn a_layer_that_another_registry_has_is_streamed_from_there() {
    let (base, served) = (Served::start(), Served::start());
    let (images, index) = three();
    base.push(&index.blobs, &index.index, "1");
    let directory = TempDir::new().unwrap();
    let work = directory.path();
    let mut blobs = index.blobs.clone();
    for image in &images {
        blobs.remove(&image.layers[0].digest);
    }
    write_layout(&work.join("sparse"), &blobs, &index.index, "image");
    let mut push = push(&index.index, &images, (served.host(), "copy"), &["v7"]);
    push["manifests"][0]["layer_blobs"][0]["sources"] =
        json!([{"registry": base.host(), "repository": "app"}]);
    push["original_registries"] = json!([base.host()]);
    push["original_repository"] = "app".into();
    write(work, "push.json", &request(&[push]));
    succeed(work, "deploy --request-file push.json --oci-layout sparse");
    let asked = base.asked();
    for image in &images {
        let line = format!("GET /v2/app/blobs/{}", image.layers[0].digest);
        let count = asked.iter().filter(|it| it.starts_with(&line)).count();
        assert_eq!(count, 1, "{asked:#?}");
    }
    let name = format!("{}/copy:v7", served.host());
    assert_eq!(pulled(work, &name), index.index.digest.to_string());
}

#[test]
fn each_operation_has_its_outcome_and_one_failure_fails_all() {
    let served = Served::start();
    let (images, _) = three();
    let directory = TempDir::new().unwrap();
    let work = directory.path();
    let operations: Vec<Value> = images
        .iter()
        .zip(["one", "two", "three"])
        .map(|(image, repository)| {
            let to = (served.host(), repository);
            push(&image.manifest, std::slice::from_ref(image), to, &["v7"])
        })
        .collect();
    let mut blobs = index_of(&images).blobs;
    blobs.remove(&images[1].layers[0].digest);
    let index = index_of(&images).index;
    write_layout(&work.join("layout"), &blobs, &index, "image");
    write(work, "push.json", &request(&operations));
    let output = run(work, "deploy --request-file push.json --oci-layout layout");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let host = served.host();
    for line in [
        format!("operation 0     {host}/one:v7: done"),
        format!("operation 1     {host}/two:v7: failed"),
        format!("operation 2     {host}/three:v7: done"),
        "1 of 3 operations failed".to_owned(),
        images[1].layers[0].digest.to_string(),
    ] {
        assert!(stderr.contains(&line), "{line} is not in: {stderr}");
    }
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout.lines().count(), 2, "{stdout}");
    let json = run(
        work,
        "deploy --json --request-file push.json --oci-layout layout",
    );
    assert_eq!(json.status.code(), Some(1));
    let last = String::from_utf8(json.stdout).unwrap();
    let last: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!(last["operations"][1]["done"], false);
    assert_eq!(last["operations"][2]["done"], true);
}

#[test]
fn what_is_pushed_apart_is_pushed_and_planned_though_one_part_fails() {
    let served = Served::start();
    let (images, _) = three();
    let directory = TempDir::new().unwrap();
    let work = directory.path();
    let operations: Vec<Value> = images
        .iter()
        .zip([("one", "disabled"), ("two", "best_effort")])
        .map(|(image, (repository, dedup))| {
            let to = (served.host(), repository);
            let mut push = push(&image.manifest, std::slice::from_ref(image), to, &["v7"]);
            push["deduplicated_push"] = dedup.into();
            push
        })
        .collect();
    let index = index_of(&images);
    let mut blobs = index.blobs;
    blobs.remove(&images[0].manifest.digest);
    write_layout(&work.join("layout"), &blobs, &index.index, "image");
    write(work, "push.json", &request(&operations));
    let words = "--request-file push.json --oci-layout layout";
    let plan = run(work, &format!("deploy --dry-run {words}"));
    assert_eq!(plan.status.code(), Some(1));
    let plan = String::from_utf8(plan.stdout).unwrap();
    for image in &images[..2] {
        assert!(plan.contains(&image.manifest.digest.to_string()), "{plan}");
    }
    let stderr = fail(work, &format!("push manifest {words}"));
    assert!(
        stderr.contains(&images[0].manifest.digest.to_string()),
        "{stderr}"
    );
    let name = format!("{}/two:v7", served.host());
    assert_eq!(pulled(work, &name), images[1].manifest.digest.to_string());
}

#[test]
fn nothing_is_sent_when_an_operation_cannot_be_carried_out() {
    let served = Served::start();
    let (directory, images, index) = prepared(&served);
    let whole = push(&index.index, &images, (served.host(), "app"), &["v7"]);
    let mut load = push(&images[0].manifest, &images[..1], ("", ""), &["demo"]);
    load["command"] = "load".into();
    load["daemon"] = "docker".into();
    write(directory.path(), "both.json", &request(&[whole, load]));
    let words = "deploy --request-file both.json --oci-layout layout";
    let stderr = fail(directory.path(), words);
    assert!(stderr.contains("operation 1 is a load"), "{stderr}");
    assert_eq!(served.asked(), Vec::<String>::new());
    // As files, both can be had.
    let words = format!("{words} --sink docker-save:out.tar");
    succeed(directory.path(), &words);
    let listed = succeed(directory.path(), "inspect out.tar:demo:latest");
    assert!(listed.contains("amd64"), "{listed}");
}

#[test]
fn a_tree_of_files_has_what_a_registry_answers() {
    let served = Served::start();
    let (directory, images, index) = prepared(&served);
    let words = "deploy --request-file push.json --oci-layout layout --sink distribution-flat:tree";
    succeed(directory.path(), words);
    let root = directory.path().join("tree/v2/team/app");
    let tagged = fs::read(root.join("manifests/v7")).unwrap();
    assert_eq!(tagged, index.blobs[&index.index.digest]);
    for image in &images {
        for blob in [&image.config, &image.layers[0]] {
            let file = root.join("blobs").join(blob.digest.to_string());
            assert_eq!(fs::read(file).unwrap(), image.blob(blob));
        }
    }
    let list = fs::read_to_string(root.join("tags/list")).unwrap();
    assert_eq!(list, r#"{"name":"team/app","tags":["v7"]}"#);
    assert_eq!(served.asked(), Vec::<String>::new());
    // Once more adds to it, and a damaged blob is replaced.
    let blob = root
        .join("blobs")
        .join(images[0].layers[0].digest.to_string());
    fs::write(&blob, "damaged").unwrap();
    succeed(directory.path(), &format!("{words} --tag more"));
    assert_eq!(
        fs::read(&blob).unwrap(),
        images[0].blob(&images[0].layers[0])
    );
    let list = fs::read_to_string(root.join("tags/list")).unwrap();
    assert_eq!(list, r#"{"name":"team/app","tags":["more","v7"]}"#);
}

/// A signer that writes a prepared archive, whatever it is asked for; and the digest of what is in it.
#[cfg(unix)]
fn signer(work: &Path, subject: &Descriptor) -> imgcore::Digest {
    use std::os::unix::fs::PermissionsExt as _;

    let blob = |bytes: &[u8], media_type: &str| {
        let digest = imgcore::Digest::sha256_of(bytes);
        let descriptor =
            json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()});
        (digest, descriptor, bytes.to_vec())
    };
    let config = blob(b"{}", "application/vnd.oci.empty.v1+json");
    let layer = blob(b"a signature", "application/octet-stream");
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "artifactType": "application/vnd.example.signature",
        "config": config.1,
        "layers": [layer.1],
        "subject": descriptor(subject),
    });
    let manifest = blob(manifest.to_string().as_bytes(), manifest_type);
    let index = json!({"schemaVersion": 2, "manifests": [manifest.1]});
    let mut tar = tar::Builder::new(fs::File::create(work.join("signature.tar")).unwrap());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    add("index.json", index.to_string().as_bytes());
    for (digest, _, bytes) in [&config, &layer, &manifest] {
        add(&format!("blobs/sha256/{}", digest.hex()), bytes);
    }
    tar.finish().unwrap();
    let program = work.join("sign-it");
    let script =
        "#!/bin/sh\necho \"$@ $KEY\" > asked\n/bin/cat > subject.json\n/bin/cat signature.tar\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let setting = json!({
        "schema_version": 1,
        "mode": "command",
        "tool": "./sign-it",
        "args": ["--fast"],
        "env": {"KEY": "k"},
    });
    fs::write(work.join("sign.json"), setting.to_string()).unwrap();
    manifest.0
}

#[cfg(unix)]
#[test]
fn a_signature_is_pushed_beside_what_it_signs() {
    let served = Served::start();
    let (directory, _, index) = prepared(&served);
    let work = directory.path();
    let signature = signer(work, &index.index);
    let words = "deploy --request-file push.json --oci-layout layout \
                 --default_sign_setting sign.json --sign_force";
    succeed(work, words);
    let asked = fs::read_to_string(work.join("asked")).unwrap();
    assert_eq!(asked, "sign-oci-artifact --fast k\n");
    let subject = fs::read_to_string(work.join("subject.json")).unwrap();
    let subject: Value = serde_json::from_str(&subject).unwrap();
    assert_eq!(subject["digest"], index.index.digest.to_string());
    let source = format!("team/app@{}", served.host());
    let words = format!("download-manifest --digest {signature} --source {source} --output got");
    succeed(work, &words);
    let asked = served.asked();
    let place = |end: &str| {
        asked
            .iter()
            .position(|it| it.starts_with("PUT ") && it.ends_with(end))
    };
    let (image, signed) = (place("/manifests/v7"), place(&signature.to_string()));
    assert!(image.unwrap() < signed.unwrap(), "{asked:#?}");
}

#[cfg(unix)]
#[test]
fn what_goes_to_several_places_is_signed_once_and_tags_are_not() {
    let served = Served::start();
    let (directory, images, index) = prepared(&served);
    let work = directory.path();
    let signature = signer(work, &index.index);
    let program = work.join("sign-it");
    let script = fs::read_to_string(&program).unwrap();
    fs::write(&program, format!("{script}echo run >> runs\n")).unwrap();
    let to = |repository| push(&index.index, &images, (served.host(), repository), &["v7"]);
    let tag = |root: &Descriptor, name: &str| {
        let mut tag = push(root, &[], (served.host(), "one"), &[name]);
        tag["command"] = "registry_tag".into();
        tag
    };
    let operations = [
        to("one"),
        tag(&index.index, "more"),
        tag(&images[0].manifest, "v7-amd64"),
        to("two"),
    ];
    write(work, "push.json", &request(&operations));
    let words = "deploy --request-file push.json --oci-layout layout \
                 --default_sign_setting sign.json --sign_force";
    succeed(work, words);
    assert_eq!(fs::read_to_string(work.join("runs")).unwrap(), "run\n");
    for repository in ["one", "two"] {
        let source = format!("{repository}@{}", served.host());
        let words = format!(
            "download-manifest --digest {signature} --source {source} --output {repository}"
        );
        succeed(work, &words);
    }
}

#[cfg(unix)]
#[test]
fn an_operation_is_not_done_while_its_signature_is_missing() {
    let served = Served::start();
    let (directory, images, index) = prepared(&served);
    let work = directory.path();
    let signature = signer(work, &index.index);
    served.keep_out(&signature);
    let deploy = |words: &str| {
        let words = format!("deploy --request-file push.json --oci-layout layout {words}");
        let output = run(work, &words);
        assert_eq!(output.status.code(), Some(1));
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let signed = "--default_sign_setting sign.json --sign_force";
    let (stdout, stderr) = deploy(signed);
    assert_eq!(stdout, "");
    let name = format!("{}/team/app:v7", served.host());
    assert!(stderr.contains(&format!("img: {name}: ")), "{stderr}");
    assert!(stderr.contains(&signature.to_string()), "{stderr}");
    // Another operation that fails does not hide that.
    let whole = push(&index.index, &images, (served.host(), "team/app"), &["v7"]);
    let mut sign = whole.clone();
    sign["sign"] = json!({});
    let mut nowhere = whole;
    nowhere["registry"] = "127.0.0.1:1".into();
    write(work, "push.json", &request(&[sign, nowhere]));
    let (stdout, stderr) = deploy("--json --default_sign_setting sign.json");
    let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    let said = last["operations"][0]["errors"][0].as_str().unwrap();
    assert_eq!(last["operations"][0]["done"], false);
    assert!(said.contains(&signature.to_string()), "{said}");
    assert!(stderr.contains(&signature.to_string()), "{stderr}");
    assert!(stderr.contains("2 of 2 operations failed"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_signed_is_not_pushed_unless_that_is_taken_as_it_comes() {
    let served = Served::start();
    let (directory, images, index) = prepared(&served);
    let work = directory.path();
    // It signs something else.
    signer(work, &images[0].manifest);
    let mut operation = push(&index.index, &images, (served.host(), "team/app"), &["v7"]);
    let setting = fs::read(work.join("sign.json")).unwrap();
    operation["sign"] = json!({"setting": {
        "mediaType": "application/vnd.rules-img.sign-config.v1+json",
        "digest": imgcore::Digest::sha256_of(&setting).to_string(),
        "size": setting.len(),
    }});
    write(work, "push.json", &request(&[operation.clone()]));
    let words = "deploy --request-file push.json --oci-layout layout --sign_setting_file sign.json";
    let stderr = fail(work, words);
    assert!(
        stderr.contains(&images[0].manifest.digest.to_string()),
        "{stderr}"
    );
    assert_eq!(served.asked(), Vec::<String>::new());
    operation["sign"]["best_effort"] = true.into();
    write(work, "push.json", &request(&[operation]));
    let output = run(work, words);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("pushed without a signature"), "{stderr}");
}

#[test]
fn a_worker_answers_with_the_references_of_each_request() {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::Stdio;

    let served = Served::start();
    let (directory, images, index) = prepared(&served);
    let to = (served.host(), "other");
    let other = push(&images[0].manifest, &images[..1], to, &["a", "b"]);
    let mut other = request(&[other]);
    other["later"] = "a worker is asked by newer rules, too".into();
    write(directory.path(), "other.json", &other);
    let mut worker = img(directory.path())
        .args(["deploy", "--oci-layout=layout", "--persistent_worker"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = worker.stdin.take().unwrap();
    for (number, file) in [(1, "push.json"), (2, "other.json"), (3, "missing.json")] {
        let arguments = ["--request-file", file];
        let line = json!({"arguments": arguments, "requestId": number});
        writeln!(stdin, "{line}").unwrap();
    }
    drop(stdin);
    let mut answers: Vec<Value> = BufReader::new(worker.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert!(worker.wait().unwrap().success());
    answers.sort_by_key(|answer| answer["requestId"].as_i64());
    let output = |at: usize| answers[at]["output"].as_str().unwrap();
    let host = served.host();
    let digest = index.index.digest;
    assert_eq!(output(0), format!("{host}/team/app:v7@{digest}\n"));
    let digest = images[0].manifest.digest;
    assert_eq!(
        output(1),
        format!("{host}/other:a@{digest}\n{host}/other:b@{digest}\n")
    );
    assert!(output(2).contains("missing.json"), "{}", output(2));
    let codes: Vec<_> = answers.iter().map(|it| it["exitCode"].clone()).collect();
    assert_eq!(codes, [0, 0, 1].map(Value::from));
}

#[test]
fn blobs_and_manifests_are_pushed_while_a_build_runs() {
    let served = Served::start();
    let (directory, images, index) = prepared(&served);
    let work = directory.path();
    let to = json!({"registry": served.host(), "repository": "team/app", "tags": ["v7"]});
    write(work, "to.json", &to);
    let mut results = Vec::new();
    for (at, image) in images.iter().enumerate() {
        let layer = &image.layers[0];
        write(work, "layer.json", &descriptor(layer));
        fs::write(work.join("layer"), image.blob(layer)).unwrap();
        let words = format!(
            "push blob --configuration-file to.json --metadata layer.json --blob layer \
             --blob-repository staging --output result{at}.json"
        );
        assert_eq!(succeed(work, &words), "");
        let result = fs::read_to_string(work.join(format!("result{at}.json"))).unwrap();
        let expected = format!(
            r#"{{"registry":"{}","repository":"staging","digest":"{}","mediaType":"{}","size":{}}}"#,
            served.host(),
            layer.digest,
            layer.media_type,
            layer.size
        );
        assert_eq!(result, expected);
        results.push(format!("--layer-result result{at}.json"));
    }
    let results = results.join(" ");
    // From here on no layer is on this machine.
    for image in &images {
        let layer = image.layers[0].digest.hex();
        fs::remove_file(work.join("layout/blobs/sha256").join(layer)).unwrap();
    }
    let mut lazy = push(&index.index, &images, (served.host(), "team/app"), &["v7"]);
    lazy["referrer"] = false.into();
    let lazy = json!({"operations": [lazy], "settings": {"push_strategy": "lazy"}});
    write(work, "lazy.json", &lazy);
    let words = format!(
        "push manifest --request-file lazy.json --oci-layout layout {results} --marker done"
    );
    succeed(work, &words);
    assert_eq!(fs::read(work.join("done")).unwrap(), b"");
    let name = format!("{}/team/app:v7", served.host());
    assert_eq!(pulled(work, &name), index.index.digest.to_string());
    // The same with a registry that is not there: an error, or told and taken as done.
    let nowhere = "push blob --configuration-file nowhere.json --metadata layer.json --blob layer --output none.json";
    write(
        work,
        "nowhere.json",
        &json!({"registry": "127.0.0.1:1", "repository": "app"}),
    );
    fail(work, nowhere);
    assert!(!work.join("none.json").exists());
    let output = run(work, &format!("{nowhere} --mode best_effort"));
    assert!(output.status.success());
    assert!(!output.stderr.is_empty());
    assert!(work.join("none.json").exists());
}
