use super::*;

/// A file that says nothing wrong.
const SMALL: &str = r#"platforms = ["linux/amd64"]

[output]
layout = "out"
"#;

fn parse(text: &str) -> Result<BuildFile, Failure> {
    BuildFile::parse(Path::new("img.toml"), PathBuf::from("."), text.to_owned())
}

fn refusal(text: &str) -> String {
    match parse(text) {
        Ok(_) => panic!("this is taken: {text}"),
        Err(failure) => failure.to_string(),
    }
}

#[test]
fn a_small_file_has_the_defaults() {
    let build = parse(SMALL).unwrap().build;
    assert_eq!(build.compression, Compression::Gzip);
    assert_eq!(build.level, Level::Default);
    assert!(build.hard_links);
    assert!(!build.preserve_modes);
    assert!(build.layers.is_empty());
}

#[test]
fn an_error_has_its_place_and_key() {
    let check = |line: &str| refusal(&format!("{line}\n{SMALL}"));
    insta::assert_snapshot!(check("\"nöme\" = 1"), @"img: img.toml:1:1: unknown key `nöme`, expected one of `name`, `tags`, `platforms`, `base`, `compression`, `level`, `estargz`, `hard_links`, `preserve_modes`, `layer`, `config`, `annotations`, `output`, `push`, `load`");
    insta::assert_snapshot!(check("name = \"Hello\""), @"img: img.toml:1:8: `Hello`: the name of a repository is lower case, and `Hello` is not");
    insta::assert_snapshot!(check("name = 1"), @r#"
    img: img.toml:1:8: `name` cannot be `1`
    hint: write name = "hello"
    "#);
    insta::assert_snapshot!(check("push = {}"), @r#"
    img: img.toml:1:8: `push` belongs below [output]
    hint: write push = ["registry.example/team/app"] there
    "#);
    insta::assert_snapshot!(check("level = \"9\""), @"img: img.toml:1:9: unknown value `9`, expected one of `best`, `default`, `fast`");
    insta::assert_snapshot!(check("tags = [\"a b\"]"), @"img: img.toml:1:9: `a b`: ` ` cannot stand in a tag");
    insta::assert_snapshot!(check("base = { image = \"debian\", tag = \"12\" }"), @r#"
    img: img.toml:1:8: `tag` and `digest` belong to a `path`
    hint: write them in `image`: image = "debian:12", or debian@sha256:…
    "#);
    insta::assert_snapshot!(check("base = { image = \"debian\", path = \"b\" }"), @"img: img.toml:1:8: [base] has a `path` and an `image`: only one can be the base");
    insta::assert_snapshot!(check("base = {}"), @"img: img.toml:1:8: [base] needs the `path` of an OCI layout or archive, or an `image`");
    insta::assert_snapshot!(check("base = { path = \"b\", digest = \"sha256:0\" }"), @"img: img.toml:1:31: `sha256:0`: a sha256 digest has 64 hex digits");
    insta::assert_snapshot!(check("layer = [{ copy = [{ to = \"/a\" }] }]"), @"img: img.toml:1:20: a copy needs `from` or `content`");
    insta::assert_snapshot!(check("layer = [{ copy = [{ from = \"a\", to = \"/../a\" }] }]"), @"img: img.toml:1:39: `/../a`: `..` cannot stand in a path of the image");
    insta::assert_snapshot!(check("layer = [{ copy = [{ from = \"a\", to = \"/a\", mode = 755 }] }]"), @r#"
    img: img.toml:1:52: `mode` cannot be `755`
    hint: write mode = "0755"
    "#);
    insta::assert_snapshot!(check("layer = [{ copy = [{ from = \"a\", to = \"/a\", mod = \"755\" }] }]"), @"img: img.toml:1:45: unknown key `mod`, expected one of `from`, `content`, `to`, `exclude`, `mode`, `directory_mode`, `owner`, `platforms`");
    insta::assert_snapshot!(check("layer = [{ copy = [{ content = \"a\", to = \"/a/\" }] }]"), @"img: img.toml:1:20: `content` needs a file's path, and /a is a directory");
    insta::assert_snapshot!(check("a ="), @"img: img.toml:1:4: string values must be quoted, expected literal string");
}

#[test]
fn what_contradicts_itself_is_refused() {
    insta::assert_snapshot!(refusal("platforms = []\noutput.layout = \"a\""), @r#"
    img: img.toml: `platforms` is empty
    hint: write platforms = ["linux/amd64"]
    "#);
    insta::assert_snapshot!(refusal("platforms = [\"linux/arm64\", \"linux/arm64/v8\"]\noutput.layout = \"a\""), @"img: img.toml: the platform linux/arm64/v8 is there twice");
    insta::assert_snapshot!(refusal("platforms = [\"linux\"]\noutput.layout = \"a\""), @"img: img.toml:1:14: `linux`: `linux` is no platform: write `os/architecture` or `os/architecture/variant`");
    insta::assert_snapshot!(refusal("platforms = [\"linux/amd64\"]\n[output]"), @r"
    img: img.toml:2:1: [output] names nothing to write
    hint: write `layout`, `oci_archive` or `docker_archive` with a path, or `push` with a name
    ");
    insta::assert_snapshot!(refusal("platforms = [\"linux/amd64\"]"), @"img: img.toml:1:1: missing key `output`");
    insta::assert_snapshot!(refusal("output.layout = \"a\""), @"img: img.toml:1:1: missing key `platforms`");
    insta::assert_snapshot!(refusal(&format!("{SMALL}docker_platform = \"linux/arm64\"")), @"img: img.toml:3:1: `docker_platform` linux/arm64 is not one of `platforms`");
    insta::assert_snapshot!(refusal(&format!("{SMALL}oci_archive = \"out\"")), @"img: img.toml:3:1: [output] names one path twice");
}

#[test]
fn names_and_variables_that_mean_nothing_are_refused() {
    let check = |line: &str| refusal(&format!("{line}\n{SMALL}"));
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    insta::assert_snapshot!(check(&format!("name = \"a@{digest}\"")), @"img: img.toml: `name` has a digest, which only the finished image has");
    insta::assert_snapshot!(check("tags = [\"v1\"]"), @"img: img.toml: `tags` are tags of a name: write `name` too");
    insta::assert_snapshot!(check("config.env = { \"A=B\" = \"1\" }"), @r#"
    img: img.toml:1:16: `A=B` cannot be the name of a variable
    hint: write env = { NAME = "value" }
    "#);
}

#[test]
fn a_value_of_another_type_is_named_with_the_form_to_write() {
    let check = |line: &str| refusal(&format!("{line}\n{SMALL}"));
    insta::assert_snapshot!(check("config.entrypoint = \"/x\""), @r#"
    img: img.toml:1:21: `entrypoint` cannot be `"/x"`
    hint: write entrypoint = ["/usr/bin/hello", "--verbose"]
    "#);
    insta::assert_snapshot!(check("config.env = [\"A=1\"]"), @r#"
    img: img.toml:1:14: `env` cannot be `["A=1"]`
    hint: write env = { LANG = "C.UTF-8" }
    "#);
    insta::assert_snapshot!(check("config = { env = { user = 1 } }"), @r#"
    img: img.toml:1:27: `env.user` cannot be `1`
    hint: write env = { LANG = "C.UTF-8" }
    "#);
    insta::assert_snapshot!(check("config.healthcheck = { test = [], retries = -1 }"), @r"
    img: img.toml:1:45: `retries` cannot be `-1`
    hint: write retries = 3
    ");
    insta::assert_snapshot!(check("level = 9"), @r#"
    img: img.toml:1:9: `level` cannot be `9`
    hint: write level = "best"
    "#);
    insta::assert_snapshot!(check("layer = [{ directories = [\"/tmp\"] }]"), @r#"
    img: img.toml:1:27: `directories` cannot be `"/tmp"`
    hint: write directories = [{ path = "/var/lib/app", mode = "0700" }]
    "#);
    insta::assert_snapshot!(check("layer = [{ copy = [{ content = \"a\", to = \"/a\", mode = 0o755 }] }]"), @r#"
    img: img.toml:1:55: `mode` cannot be `0o755`
    hint: write mode = "0755"
    "#);
    insta::assert_snapshot!(check("layer = { copy = [{ from = \"a/long/path\", to = \"/a/long/path\" }] }"), @r"
    img: img.toml:1:9: `layer` cannot be this
    hint: write [[layer]]
    ");
    insta::assert_snapshot!(check("config = 1"), @r#"
    img: img.toml:1:10: `config` cannot be `1`
    hint: write config = { user = "1000:1000" }
    "#);
    insta::assert_snapshot!(refusal(&format!("{SMALL}[[layer]]\nname = \"a\"\n[[layer]]\nremove = \"/a\"\n")), @r#"
    img: img.toml:8:10: `remove` cannot be `"/a"`
    hint: write remove = ["/etc/motd"]
    "#);
}

#[test]
fn slips_of_the_pen_are_refused() {
    let check = |line: &str| refusal(&format!("layer = [{{ {line} }}]\n{SMALL}"));
    insta::assert_snapshot!(check("platforms = [\"linux/amd64\", \"linux/amd46\"]"), @"img: img.toml:1:40: linux/amd46 is not one of `platforms`, which are linux/amd64");
    insta::assert_snapshot!(check("copy = [{ from = \"a\", to = \"/a\", platforms = [\"linux/arm64\"] }]"), @"img: img.toml:1:58: linux/arm64 is not one of `platforms`, which are linux/amd64");
    insta::assert_snapshot!(check("copy = [{ from = \"a\", to = \"/{arch}/a\" }]"), @"img: img.toml:1:39: `/{arch}/a`: `{os}`, `{arch}` and `{variant}` are filled in only in `from`");
    insta::assert_snapshot!(check("copy = [{ from = \"{os}/{cpu}/*\", to = \"/a\" }]"), @r"
    img: img.toml:1:20: `{cpu}` stands for nothing
    hint: `{os}`, `{arch}` and `{variant}` are the platform's; `{a,b}` is one of two
    ");
    insta::assert_snapshot!(check("remove = [\"/a\", \"/var/log/*\"]"), @"img: img.toml:1:28: `remove` takes paths and no patterns, and /var/log/* is one");
    insta::assert_snapshot!(check("remove = [\"/{a,b}\"]"), @"img: img.toml:1:22: `remove` takes paths and no patterns, and /{a,b} is one");
    insta::assert_snapshot!(check("owner = \"99999999999\""), @"img: img.toml:1:20: `99999999999`: no user or group has a number above 4294967295");
    let good = r#"
        platforms = ["linux/amd64"]
        remove = ["/usr/bin/[", "/{a}"]
        copy = [
            { from = "{os}/{arch}/[{]x}", to = "/", platforms = ["linux/amd64"] },
            { from = "{a,b}", to = "/" },
        ]"#;
    parse(&format!("{SMALL}[[layer]]\n{good}")).unwrap();
}

#[test]
fn a_time_is_a_text_or_a_time_of_toml() {
    let created = |value: &str| {
        let build = parse(&format!("config.created = {value}\n{SMALL}")).unwrap();
        build.build.config.created.unwrap().0
    };
    for value in [
        "\"2031-05-06T07:08:09.00Z\"",
        "2031-05-06T07:08:09Z",
        "2031-05-06 07:08:09z",
    ] {
        assert_eq!(created(value), "2031-05-06T07:08:09Z", "{value}");
    }
    let check = |value: &str| refusal(&format!("config.created = {value}\n{SMALL}"));
    insta::assert_snapshot!(check("\"yesterday\""), @r#"img: img.toml:1:18: "yesterday" is no RFC 3339 time such as 2031-05-06T07:08:09Z"#);
    insta::assert_snapshot!(check("2031-05-06"), @r#"img: img.toml:1:18: "2031-05-06" is no RFC 3339 time such as 2031-05-06T07:08:09Z"#);
    insta::assert_snapshot!(check("1"), @r#"
    img: img.toml:1:18: `created` cannot be `1`
    hint: write created = "2031-05-06T07:08:09Z"
    "#);
    insta::assert_snapshot!(check("{ a = 1 }"), @"img: img.toml:1:18: write a time like 2031-05-06T07:08:09Z");
}

#[test]
fn the_lock_lies_beside_the_file() {
    let file = |path: &str, directory: &str| {
        BuildFile::parse(Path::new(path), PathBuf::from(directory), SMALL.to_owned()).unwrap()
    };
    assert_eq!(file("img.toml", ".").beside("lock"), Path::new("img.lock"));
    assert_eq!(
        file("x/web.toml", "x").beside("lock"),
        Path::new("x/web.lock")
    );
}
