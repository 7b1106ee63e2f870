use std::fmt::Write as _;

use super::*;
use crate::context::Context;
use crate::report::Report;

/// A directory with sources, and what a build file makes of them.
struct Sources {
    directory: tempfile::TempDir,
}

impl Sources {
    fn new(files: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            if file.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, file).unwrap();
            }
        }
        Self { directory }
    }

    fn try_resolve(&self, layer: &str, platform: &str) -> Result<String, Failure> {
        let path = self.directory.path().join("img.toml");
        let text = format!(
            "platforms = [\"linux/amd64\", \"linux/arm/v7\"]\noutput.layout = \"out\"\n[[layer]]\n{layer}\n"
        );
        fs::write(&path, text).unwrap();
        let file = BuildFile::read(&Context::new(Report::captured()), &path)?;
        let layers = layers(&file, &platform.parse().unwrap())?;
        Ok(layers.iter().map(|layer| self.listing(layer)).collect())
    }

    fn resolve(&self, layer: &str) -> String {
        match self.try_resolve(layer, "linux/amd64") {
            Ok(listing) => listing,
            Err(failure) => panic!("{failure}"),
        }
    }

    fn refusal(&self, layer: &str) -> String {
        match self.try_resolve(layer, "linux/amd64") {
            Ok(listing) => panic!("this is taken: {listing}"),
            Err(failure) => {
                let directory = format!("{}/", self.directory.path().display());
                failure.to_string().replace(&directory, "")
            }
        }
    }

    fn listing(&self, layer: &ResolvedLayer) -> String {
        let mut listing = String::new();
        for entry in &layer.entries {
            let path = String::from_utf8_lossy(&entry.path);
            let content = match &entry.content {
                Content::Bytes(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
                Content::Directory => "directory".to_owned(),
                Content::File(path) => {
                    let path = path.strip_prefix(self.directory.path()).unwrap();
                    path.display().to_string()
                }
                Content::Removed => "removed".to_owned(),
                Content::Symlink(target) => format!("-> {}", String::from_utf8_lossy(target)),
            };
            let mode = entry
                .mode
                .map_or("source".to_owned(), |it| format!("{it:04o}"));
            let owner = entry.owner;
            let (user, group) = (owner.user, owner.group);
            writeln!(listing, "{mode} {user}:{group} {path} {content}").unwrap();
        }
        listing
    }
}

#[test]
fn a_file_takes_its_new_name_or_keeps_its_own_in_a_directory() {
    let sources = Sources::new(&["bin/tool"]);
    let copy = r#"copy = [{ from = "bin/tool", to = "/usr/bin/t" }, { from = "bin/tool", to = "/usr/bin/" }]"#;
    insta::assert_snapshot!(sources.resolve(copy), @r"
    source 0:0 usr/bin/t bin/tool
    source 0:0 usr/bin/tool bin/tool
    ");
}

#[test]
fn a_directory_brings_what_it_holds_in_the_order_of_names() {
    let sources = Sources::new(&["data/b", "data/a/x", "data/a.txt", "data/empty/"]);
    let copy = r#"copy = [{ from = "data", to = "/srv" }]"#;
    insta::assert_snapshot!(sources.resolve(copy), @r"
    0755 0:0 srv directory
    0755 0:0 srv/a directory
    source 0:0 srv/a/x data/a/x
    source 0:0 srv/a.txt data/a.txt
    source 0:0 srv/b data/b
    0755 0:0 srv/empty directory
    ");
    let copy = r#"copy = [{ from = "data/", to = "/" }]"#;
    insta::assert_snapshot!(sources.resolve(copy), @r"
    0755 0:0 a directory
    source 0:0 a/x data/a/x
    source 0:0 a.txt data/a.txt
    source 0:0 b data/b
    0755 0:0 empty directory
    ");
}

#[test]
fn a_pattern_keeps_the_path_below_its_fixed_part() {
    let sources = Sources::new(&["src/a.py", "src/b.txt", "src/sub/c.py", "src/sub/deep/d.py"]);
    let resolve =
        |from: &str| sources.resolve(&format!("copy = [{{ from = \"{from}\", to = \"/app\" }}]"));
    insta::assert_snapshot!(resolve("src/*.py"), @"source 0:0 app/a.py src/a.py");
    insta::assert_snapshot!(resolve("src/**/*.py"), @r"
    source 0:0 app/a.py src/a.py
    source 0:0 app/sub/c.py src/sub/c.py
    source 0:0 app/sub/deep/d.py src/sub/deep/d.py
    ");
    insta::assert_snapshot!(resolve("src/{a,b}.*"), @r"
    source 0:0 app/a.py src/a.py
    source 0:0 app/b.txt src/b.txt
    ");
    insta::assert_snapshot!(resolve("src/s*"), @r"
    0755 0:0 app/sub directory
    source 0:0 app/sub/c.py src/sub/c.py
    0755 0:0 app/sub/deep directory
    source 0:0 app/sub/deep/d.py src/sub/deep/d.py
    ");
    insta::assert_snapshot!(resolve("*/*/c.py"), @"source 0:0 app/src/sub/c.py src/sub/c.py");
}

#[test]
fn excluded_names_stay_out_wherever_they_are_and_paths_where_they_stand() {
    let sources = Sources::new(&[
        "d/keep",
        "d/a.bak",
        "d/x/b.bak",
        "d/x/keep",
        "d/node/m",
        "d/x/node/n",
        "d/only/y",
    ]);
    let copy = r#"copy = [{ from = "d", to = "/", exclude = ["*.bak", "x/node", "/only/"] }]"#;
    insta::assert_snapshot!(sources.resolve(copy), @r"
    source 0:0 keep d/keep
    0755 0:0 node directory
    source 0:0 node/m d/node/m
    0755 0:0 x directory
    source 0:0 x/keep d/x/keep
    ");
    let copy = r#"copy = [{ from = "d/**", to = "/", exclude = ["node", "*.bak", "only"] }]"#;
    insta::assert_snapshot!(sources.resolve(copy), @r"
    source 0:0 keep d/keep
    0755 0:0 x directory
    source 0:0 x/keep d/x/keep
    ");
}

#[cfg(unix)]
#[test]
fn modes_are_told_or_left_to_the_source_and_directories_keep_theirs_on_request() {
    use std::os::unix::fs::PermissionsExt as _;
    let sources = Sources::new(&["d/file", "d/sub/x"]);
    let path = sources.directory.path().join("d/sub");
    fs::set_permissions(path, std::fs::Permissions::from_mode(0o2770)).unwrap();
    let resolve =
        |rest: &str| sources.resolve(&format!("copy = [{{ from = \"d/*\", to = \"/\" {rest} }}]"));
    insta::assert_snapshot!(resolve(""), @r"
    source 0:0 file d/file
    0755 0:0 sub directory
    source 0:0 sub/x d/sub/x
    ");
    insta::assert_snapshot!(resolve(", mode = \"0640\", directory_mode = \"0750\", owner = \"5:6\""), @r"
    0640 5:6 file d/file
    0750 5:6 sub directory
    0640 5:6 sub/x d/sub/x
    ");
    let kept = "preserve_modes = true\ncopy = [{ from = \"d/*\", to = \"/\" }]";
    insta::assert_snapshot!(sources.resolve(kept), @r"
    source 0:0 file d/file
    2770 0:0 sub directory
    source 0:0 sub/x d/sub/x
    ");
}

#[cfg(unix)]
#[test]
fn links_in_trees_are_kept_and_a_named_link_is_followed() {
    let sources = Sources::new(&["d/real"]);
    let link = |target: &str, path: &str| {
        let path = sources.directory.path().join(path);
        std::os::unix::fs::symlink(target, path).unwrap();
    };
    link("real", "d/link");
    link("nowhere", "d/dangling");
    link("../d", "d/loop");
    let copy = r#"copy = [{ from = "d", to = "/" }, { from = "d/link", to = "/named" }]"#;
    insta::assert_snapshot!(sources.resolve(copy), @r"
    source 0:0 dangling -> nowhere
    source 0:0 link -> real
    source 0:0 loop -> ../d
    source 0:0 real d/real
    source 0:0 named d/link
    ");
}

#[test]
fn sources_follow_the_platform() {
    let sources = Sources::new(&["build/amd64/app", "build/arm/v7/app", "extra"]);
    let layer = r#"
        copy = [
            { from = "build/{arch}/{variant}/app", to = "/app", platforms = ["linux/arm"] },
            { from = "build/{arch}/app", to = "/app", platforms = ["linux/amd64"] },
            { content = "hi", to = "/etc/hi" },
        ]
        [[layer]]
        platforms = ["linux/amd64"]
        copy = [{ from = "extra", to = "/" }]"#;
    let resolve = |platform: &str| sources.try_resolve(layer, platform).unwrap();
    insta::assert_snapshot!(resolve("linux/amd64"), @r#"
    source 0:0 app build/amd64/app
    0644 0:0 etc/hi "hi"
    source 0:0 extra extra
    "#);
    insta::assert_snapshot!(resolve("linux/arm/v7"), @r#"
    source 0:0 app build/arm/v7/app
    0644 0:0 etc/hi "hi"
    "#);
}

#[test]
fn a_layer_makes_directories_and_links_and_removes() {
    let sources = Sources::new(&[]);
    let layer = r#"
        owner = "7:8"
        directories = [{ path = "/var/lib/app/", mode = "0700" }]
        symlinks = [{ path = "/bin/sh", target = "busybox", owner = "0:0" }]
        remove = ["/etc/motd"]"#;
    insta::assert_snapshot!(sources.resolve(layer), @r"
    source 7:8 etc/motd removed
    0700 7:8 var/lib/app directory
    source 0:0 bin/sh -> busybox
    ");
}

#[test]
fn what_cannot_be_copied_is_refused_with_its_place() {
    let sources = Sources::new(&["d/a", "file"]);
    let refusal = |copy: &str| sources.refusal(&format!("copy = [{{ {copy} }}]"));
    insta::assert_snapshot!(refusal(r#"from = "nothing", to = "/""#), @"img: img.toml:4:9: cannot read nothing: it does not exist");
    insta::assert_snapshot!(refusal(r#"from = "d/*.c", to = "/""#), @"img: img.toml:4:9: `d/*.c` matches nothing for linux/amd64");
    insta::assert_snapshot!(refusal(r#"from = "file/*", to = "/""#), @"img: img.toml:4:9: file is no directory");
    insta::assert_snapshot!(refusal(r#"from = "d/[a", to = "/""#), @"img: img.toml:4:9: `[a` is no pattern: unclosed character class; missing ']'");
    insta::assert_snapshot!(refusal(r#"from = "d", to = "/", exclude = ["{"]"#), @"img: img.toml:4:9: `**/{` is no pattern: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)");
    insta::assert_snapshot!(sources.refusal(r#"remove = ["/"]"#), @"img: img.toml:4:11: the root of the image has no entry of its own");
    insta::assert_snapshot!(sources.refusal(r#"symlinks = [{ path = "/a", target = "" }]"#), @"img: img.toml:4:13: the target of a symbolic link is a path");
}

#[test]
fn what_a_build_writes_is_no_source() {
    let sources = Sources::new(&[
        "a",
        "out/index.json",
        "sub/out/x",
        "img.lock",
        ".img-build-1/x",
    ]);
    let copy = r#"copy = [{ from = ".", to = "/", exclude = ["img.toml"] }]"#;
    insta::assert_snapshot!(sources.resolve(copy), @r"
    source 0:0 a a
    0755 0:0 sub directory
    0755 0:0 sub/out directory
    source 0:0 sub/out/x sub/out/x
    ");
    let copy = r#"copy = [{ from = "**/x", to = "/" }]"#;
    insta::assert_snapshot!(sources.resolve(copy), @"source 0:0 sub/out/x sub/out/x");
}

#[cfg(unix)]
#[test]
fn a_socket_in_a_tree_is_refused_and_one_that_is_not_meant_is_ignored() {
    let sources = Sources::new(&["d/a"]);
    let path = sources.directory.path().join("d/socket");
    let _listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    insta::assert_snapshot!(sources.refusal(r#"copy = [{ from = "d", to = "/" }]"#), @"img: img.toml:4:9: d/socket is a socket, pipe or device, which cannot be copied");
    insta::assert_snapshot!(sources.resolve(r#"copy = [{ from = "d/a*", to = "/" }]"#), @"source 0:0 a d/a");
}
