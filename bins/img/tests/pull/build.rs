//! `img build` on a base that is on a registry.

use fs_err as fs;
use imgcore::Descriptor;
use imgtest::image::index_of;
use tempfile::TempDir;

use super::registry::Served;
use super::{fail, has_blob, image, succeed};

fn build_file(served: &Served, platforms: &str, output: &str) -> String {
    format!(
        "name = \"hello:1\"\nplatforms = [{platforms}]\ncompression = \"none\"\n\
         [base]\nimage = \"{}/app:1\"\n\
         [[layer]]\ncopy = [{{ content = \"new\", to = \"/new\" }}]\n\
         [output]\n{output}\n",
        served.host()
    )
}

fn in_directory(file: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("img.toml"), file).unwrap();
    directory
}

#[test]
fn a_base_is_locked_and_its_layers_are_fetched_once() {
    let base = image("amd64", 100_000);
    let served = Served::start();
    served.push_image(&base, "1");
    let file = build_file(
        &served,
        "\"linux/amd64\"",
        "layout = \"out\"\noci_archive = \"out.tar\"",
    );
    let directory = in_directory(&file);
    succeed(directory.path(), "build");
    let asked = served.asked();
    assert_eq!(asked.len(), 3, "manifest, config and layer: {asked:#?}");
    let lock = fs::read_to_string(directory.path().join("img.lock")).unwrap();
    assert!(
        lock.contains(&format!("image = \"{}/app:1\"", served.host())),
        "{lock}"
    );
    assert!(lock.contains(&base.manifest.digest.to_string()), "{lock}");
    for out in ["out", "out.tar"] {
        let checked = succeed(directory.path(), &format!("check {out}"));
        assert!(checked.starts_with("1 image, 2 layers"), "{checked}");
    }
    // The tag moves, and the lock file stays; the layer is in the layout.
    let moved = image("amd64", 50);
    served.push_image(&moved, "1");
    succeed(directory.path(), "build --locked");
    let asked = served.asked();
    assert_eq!(asked.len(), 2, "{asked:#?}");
    assert!(
        asked[0].ends_with(&base.manifest.digest.to_string()),
        "{asked:#?}"
    );
    succeed(directory.path(), "build --update");
    let lock = fs::read_to_string(directory.path().join("img.lock")).unwrap();
    assert!(lock.contains(&moved.manifest.digest.to_string()), "{lock}");
}

#[test]
fn only_the_layers_that_an_output_holds_are_fetched() {
    let images = ["amd64", "arm64"].map(|architecture| image(architecture, 1000));
    let index = index_of(&images);
    let served = Served::start();
    served.push(&index.blobs, &index.index, "1");
    let file = build_file(
        &served,
        "\"linux/amd64\", \"linux/arm64\"",
        "docker_archive = \"out.tar\"\ndocker_platform = \"linux/arm64\"",
    );
    let directory = in_directory(&file);
    succeed(directory.path(), "build");
    let asked = served.asked();
    let layer = |place: usize| images[place].layers[0].digest.to_string();
    assert!(asked.iter().any(|it| it.ends_with(&layer(1))), "{asked:#?}");
    assert!(
        !asked.iter().any(|it| it.ends_with(&layer(0))),
        "{asked:#?}"
    );
}

#[test]
fn a_locked_base_that_is_gone_is_told_so() {
    let base = image("amd64", 10);
    let served = Served::start();
    served.push_image(&base, "1");
    let directory = in_directory(&build_file(&served, "\"linux/amd64\"", "layout = \"out\""));
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let lock = format!(
        "version = 1\n[base]\nimage = \"{}/app:1\"\ndigest = \"{digest}\"\n",
        served.host()
    );
    fs::write(directory.path().join("img.lock"), lock).unwrap();
    let stderr = fail(directory.path(), "build");
    assert!(stderr.contains("the base that img.lock names"), "{stderr}");
    assert!(stderr.contains("hint: build with --update"), "{stderr}");
    assert!(!directory.path().join("out").exists());
}

#[test]
fn a_base_for_another_platform_is_refused() {
    let base = image("amd64", 10);
    let served = Served::start();
    served.push_image(&base, "1");
    let directory = in_directory(&build_file(&served, "\"linux/arm64\"", "layout = \"out\""));
    let stderr = fail(directory.path(), "build");
    assert!(stderr.contains("no image is for linux/arm64"), "{stderr}");
    assert!(!has_blob(
        &directory.path().join("out"),
        &base.layers[0].digest
    ));
}

#[test]
fn a_base_with_a_huge_config_is_refused_before_that_is_fetched() {
    let mut base = image("amd64", 10);
    let manifest = String::from_utf8(base.blob(&base.manifest).to_vec()).unwrap();
    let told = format!("\"size\":{}", base.config.size);
    let huge = manifest.replacen(&told, &format!("\"size\":{}", 1_u64 << 40), 1);
    base.blobs.remove(&base.manifest.digest);
    base.manifest = Descriptor::of(base.manifest.media_type, huge.as_bytes());
    base.blobs.insert(base.manifest.digest, huge.into_bytes());
    let served = Served::start_sparse();
    served.push_image(&base, "1");
    let directory = in_directory(&build_file(&served, "\"linux/amd64\"", "layout = \"out\""));
    let stderr = fail(directory.path(), "build");
    assert!(stderr.contains("1099511627776 bytes"), "{stderr}");
    let asked = served.asked();
    assert_eq!(asked.len(), 1, "only the manifest: {asked:#?}");
}

#[test]
fn a_build_is_pushed_and_the_layers_of_its_base_are_not_fetched_for_that() {
    let base = image("amd64", 100_000);
    let served = Served::start();
    served.push_image(&base, "1");
    let push = format!("push = [\"{0}/team/app\", \"{0}/other:x\"]", served.host());
    let directory = in_directory(&build_file(&served, "\"linux/amd64\"", &push));
    let stdout = succeed(directory.path(), "build --push");
    let asked = served.asked();
    let layer = format!("/v2/app/blobs/{}", base.layers[0].digest);
    let fetched = asked
        .iter()
        .filter(|it| it.starts_with("GET ") && it.ends_with(&layer));
    assert_eq!(fetched.count(), 0, "{asked:#?}");
    let mut lines: Vec<&str> = stdout.lines().collect();
    lines.sort_unstable();
    let names = ["other:x", "team/app:1"].map(|name| format!("{}/{name}@", served.host()));
    assert_eq!(lines.len(), 2, "{stdout}");
    for (line, name) in lines.iter().zip(&names) {
        assert!(line.starts_with(name), "{stdout}");
        let name = name.trim_end_matches('@');
        let digest = line.rsplit('@').next().unwrap();
        assert_eq!(super::push::pulled(directory.path(), name), digest);
    }
    served.asked();
    succeed(directory.path(), "build --push");
    let asked = served.asked();
    assert_eq!(
        super::push::writes(&asked),
        Vec::<&String>::new(),
        "{asked:#?}"
    );
}

#[test]
fn a_build_is_pushed_with_what_the_cache_has_of_its_base() {
    let (base, served) = (image("amd64", 100_000), Served::start());
    let other = Served::start();
    served.push_image(&base, "1");
    let push = format!("push = [\"{}/team/app\"]", other.host());
    let directory = in_directory(&build_file(&served, "\"linux/amd64\"", &push));
    let words = format!(
        "pull {}/app:1 --cache cache --oci-layout base",
        served.host()
    );
    succeed(directory.path(), &words);
    served.asked();
    succeed(directory.path(), "build --push --cache cache");
    let asked = served.asked();
    let layer = base.layers[0].digest.to_string();
    assert!(!asked.iter().any(|it| it.ends_with(&layer)), "{asked:#?}");
    let name = format!("{}/team/app:1", other.host());
    super::push::pulled(directory.path(), &name);
}
