use proptest::prelude::*;

use super::*;

fn platform(text: &str) -> Platform {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Platforms as an index may hold them: nothing normalised.
fn raw(text: &str) -> Platform {
    let mut parts = text.split('/');
    let mut part = || parts.next().map(str::to_owned);
    Platform {
        os: part().unwrap(),
        architecture: part().unwrap(),
        variant: part(),
        ..Platform::default()
    }
}

#[test]
fn texts_parse_to_gos_names() {
    let check = |text: &str, expected: &str| {
        assert_eq!(platform(text).to_string(), expected, "{text}");
        assert_eq!(platform(expected), platform(text), "{text}");
    };
    check("linux/arm64", "linux/arm64");
    check("linux/arm64/v8", "linux/arm64/v8");
    check("linux/arm64/8", "linux/arm64/v8");
    check("linux/arm64/v9.0", "linux/arm64/v9");
    check("linux/arm", "linux/arm");
    check("linux/arm/7", "linux/arm/v7");
    check("linux/arm/v7", "linux/arm/v7");
    check("linux/arm/v6", "linux/arm/v6");
    check("linux/armhf", "linux/arm");
    check("linux/armel", "linux/arm/v6");
    check("Linux/x86_64", "linux/amd64");
    check("linux/x86-64", "linux/amd64");
    check("linux/amd64/v1", "linux/amd64");
    check("linux/AMD64/V3", "linux/amd64/v3");
    check("linux/i386", "linux/386");
    check("linux/Aarch64", "linux/arm64");
    check("linux/s390x", "linux/s390x");
    check("macOS/arm64", "darwin/arm64");
    check("windows()/amd64", "windows/amd64");
    check("windows(10.0.17763)/amd64", "windows(10.0.17763)/amd64");
    check(
        "windows(10.0.17763+win32k)/amd64",
        "windows(10.0.17763+win32k)/amd64",
    );
    check("linux(+gpu)/amd64", "linux(+gpu)/amd64");
    check(
        "windows(10.0.17763%2Bbuild.42+win32k)/amd64",
        "windows(10.0.17763%2Bbuild.42+win32k)/amd64",
    );
    check("windows(50%25done)/amd64", "windows(50%25done)/amd64");
    check("plan9/mine/odd", "plan9/mine/odd");
}

#[test]
fn features_print_sorted_and_stay_as_given() {
    let platform = platform("linux(+unsorted+erofs)/amd64");
    assert_eq!(platform.os_features, ["unsorted", "erofs"]);
    assert_eq!(platform.to_string(), "linux(+erofs+unsorted)/amd64");
}

#[test]
fn special_characters_of_versions_and_features_survive() {
    for text in ["10.0+build.42", "50%done", "1.0(beta)", "a/b", "a b", "ä"] {
        let mut platform = Platform::new("windows", "amd64");
        platform.os_version = Some(text.to_owned());
        platform.os_features = vec![text.to_owned()];
        assert_eq!(self::platform(&platform.to_string()), platform);
    }
    assert_eq!(Platform::default().to_string(), "unknown");
}

#[test]
fn what_is_no_platform_is_refused() {
    use ParsePlatformError as E;
    let check = |text: &str, expected: ParsePlatformError| {
        assert_eq!(text.parse::<Platform>(), Err(expected), "{text}");
    };
    let component = |text: &str| E::Component {
        component: text.to_owned(),
    };
    let shape = |text: &str| E::Shape {
        text: text.to_owned(),
    };
    let os = |text: &str| E::Os {
        text: text.to_owned(),
    };
    let escape = |text: &str| E::Escape {
        text: text.to_owned(),
    };
    check("", shape(""));
    check("linux", shape("linux"));
    check("linux/arm/foo/bar", shape("linux/arm/foo/bar"));
    check("/linux/arm", component(""));
    check("linux/", component(""));
    check("linux/arm/", component(""));
    check("linux /arm", component("linux "));
    check("linux/&arm", component("&arm"));
    check("linux/*", component("*"));
    check("lin.ux/arm", os("lin.ux"));
    check("windows(10/amd64", os("windows(10"));
    check("windows(10)x/amd64", os("windows(10)x"));
    check("windows(10++a)/amd64", os("windows(10++a)"));
    check("windows((10))/amd64", component("(10)"));
    check("windows(%2)/amd64", escape("%2"));
    check("windows(%zz)/amd64", escape("%zz"));
    check("windows(%ff)/amd64", escape("%ff"));
}

#[test]
fn a_single_word_takes_the_rest_from_the_host() {
    let host = platform("linux/arm/v6");
    let check = |text: &str, expected: &str| {
        let platform = Platform::parse_with_host(text, &host).unwrap();
        assert_eq!(platform.to_string(), expected, "{text}");
    };
    check("arm", "linux/arm");
    check("armel", "linux/arm/v6");
    check("armhf", "linux/arm");
    check("Aarch64", "linux/arm64");
    check("x86_64", "linux/amd64");
    check("i386", "linux/386");
    check("linux", "linux/arm/v6");
    check("macOS", "darwin/arm/v6");
    check(
        "windows(10.0.17763+win32k)",
        "windows(10.0.17763+win32k)/arm/v6",
    );
    check("linux/s390x", "linux/s390x");
    let error = Platform::parse_with_host("toaster", &host).unwrap_err();
    insta::assert_snapshot!(error, @"`toaster` is no known operating system or architecture");
}

#[test]
fn other_spellings_are_the_same_platform() {
    let check = |wanted: &str, offered: &[&str]| {
        for offered in offered {
            assert!(
                platform(wanted).accepts(&raw(offered)),
                "{wanted} {offered}"
            );
        }
    };
    check(
        "linux/arm64",
        &[
            "linux/aarch64",
            "linux/aarch64/v8",
            "linux/arm64/v8",
            "Linux/arm64/8",
        ],
    );
    check("linux/arm64/v8", &["linux/aarch64", "linux/arm64"]);
    check("linux/arm64/v9", &["linux/arm64/v9", "linux/arm64/v9.0"]);
    check(
        "linux/arm",
        &["linux/arm/v7", "linux/armhf", "linux/arm/7", "linux/arm"],
    );
    check("linux/arm/v6", &["linux/armel", "linux/arm/6"]);
    check("linux/arm/v7", &["linux/arm", "linux/armhf"]);
    check("linux/amd64", &["linux/x86_64/v1", "linux/amd64"]);
    check("windows/amd64", &["windows/amd64"]);
}

#[test]
fn a_strict_match_takes_no_other_variant() {
    let check = |wanted: &str, offered: &[&str]| {
        for offered in offered {
            assert!(
                !platform(wanted).accepts(&platform(offered)),
                "{wanted} {offered}"
            );
        }
    };
    check(
        "linux/amd64",
        &[
            "linux/386",
            "linux/amd64/v2",
            "linux/arm64",
            "windows/amd64",
        ],
    );
    check("linux/386", &["linux/amd64", "linux/arm/v7"]);
    check(
        "linux/arm/v8",
        &["linux/arm", "linux/arm/v7", "linux/arm64"],
    );
    check("linux/arm/v4", &["linux/arm", "linux/arm/v5"]);
    check(
        "linux/arm64",
        &["linux/arm64/v9", "linux/arm/v8", "linux/arm64/v8.1"],
    );
    check(
        "linux/arm64/v9",
        &["linux/arm64", "linux/arm64/v8.1", "linux/arm/v9"],
    );
}

#[test]
fn a_machine_runs_older_variants_and_its_second_architecture() {
    let check = |host: &str, runs: &[&str], refuses: &[&str]| {
        let runnable = platform(host).runnable();
        let takes = |offered: &str| best_match(&runnable, [Some(&platform(offered))]).is_some();
        for offered in runs {
            assert!(takes(offered), "{host} runs {offered}");
        }
        for offered in refuses {
            assert!(!takes(offered), "{host} does not run {offered}");
        }
    };
    let arms = [
        "linux/arm",
        "linux/arm/v5",
        "linux/arm/v6",
        "linux/arm/v7",
        "linux/arm/v8",
    ];
    let never = [
        "linux/arm/v4",
        "windows/amd64",
        "windows/arm",
        "linux/s390x",
    ];

    check(
        "linux/amd64",
        &["linux/amd64", "linux/386"],
        &["linux/amd64/v2", "linux/arm64"],
    );
    check(
        "linux/amd64/v2",
        &[
            "linux/amd64",
            "linux/amd64/v1",
            "linux/amd64/v2",
            "linux/386",
        ],
        &["linux/amd64/v3", "linux/amd64/v4", "linux/arm64"],
    );
    check("linux/386", &["linux/386"], &["linux/amd64"]);
    check(
        "windows/amd64",
        &["windows/amd64", "windows(10.0.17763)/amd64"],
        &["linux/amd64"],
    );
    check("linux/arm/v8", &arms, &never);
    check("linux/arm/v8", &arms, &["linux/arm64"]);
    check("linux/arm/v7", &arms[..4], &["linux/arm/v8", "linux/arm64"]);
    check(
        "linux/arm/v6",
        &arms[1..3],
        &["linux/arm", "linux/arm/v7", "linux/arm/v8"],
    );
    check("linux/arm/v5", &arms[1..2], &["linux/arm", "linux/arm/v6"]);
    check("linux/arm/v4", &["linux/arm/v4"], &arms);
    check("linux/arm64", &arms, &never);
    check(
        "linux/arm64",
        &["linux/arm64", "linux/arm64/v8"],
        &["linux/arm64/v9", "linux/arm/v9"],
    );
    check("linux/arm64/v8.1", &arms, &never);
    check(
        "linux/arm64/v8.1",
        &["linux/arm64", "linux/arm64/v8", "linux/arm64/v8.1"],
        &["linux/arm64/v8.2", "linux/arm64/v9"],
    );
    check("linux/arm64/v9", &arms, &never);
    check(
        "linux/arm64/v9",
        &[
            "linux/arm64",
            "linux/arm64/v8.1",
            "linux/arm64/v8.5",
            "linux/arm64/v9",
            "linux/arm64/v9.0",
        ],
        &["linux/arm64/v8.6", "linux/arm64/v9.1"],
    );
}

#[test]
fn compatible_variants_come_best_first() {
    let check = |host: &str, expected: &str| {
        let vector = platform(host).compatible_variants();
        let texts: Vec<String> = vector.iter().map(ToString::to_string).collect();
        assert_eq!(texts.join(" "), expected, "{host}");
    };
    check("linux/amd64", "linux/amd64");
    check(
        "linux/amd64/v3",
        "linux/amd64/v3 linux/amd64/v2 linux/amd64",
    );
    check(
        "linux/arm/v8",
        "linux/arm/v8 linux/arm/v7 linux/arm/v6 linux/arm/v5",
    );
    check("linux/arm", "linux/arm/v7 linux/arm/v6 linux/arm/v5");
    check("linux/arm64", "linux/arm64");
    check(
        "linux/arm64/v8.2",
        "linux/arm64/v8.2 linux/arm64/v8.1 linux/arm64",
    );
    check(
        "linux/arm64/v9.1",
        "linux/arm64/v9.1 linux/arm64/v9 linux/arm64/v8.6 linux/arm64/v8.5 linux/arm64/v8.4 linux/arm64/v8.3 \
         linux/arm64/v8.2 linux/arm64/v8.1 linux/arm64",
    );
    check("linux/riscv64", "linux/riscv64");
    check("linux/amd64/v4000000000", "linux/amd64/v4000000000");
    check("linux/arm64/v9.10", "linux/arm64/v9.10");
}

#[test]
fn the_best_candidate_wins_and_the_first_of_equals() {
    let check = |host: &str, index: &[&str], expected: Option<usize>| {
        let index: Vec<Platform> = index.iter().map(|text| platform(text)).collect();
        let candidates = index.iter().map(Some);
        assert_eq!(
            best_match(&platform(host).runnable(), candidates),
            expected,
            "{host}"
        );
    };
    check(
        "linux/amd64/v3",
        &[
            "linux/386",
            "linux/amd64",
            "linux/amd64/v2",
            "linux/amd64/v4",
        ],
        Some(2),
    );
    check(
        "linux/arm64",
        &["linux/arm/v7", "linux/arm64/v8", "linux/arm64"],
        Some(1),
    );
    check("linux/arm64", &["linux/arm/v6", "linux/arm/v7"], Some(1));
    check("linux/s390x", &["linux/amd64"], None);
    check(
        "windows(10.0.20348)/amd64",
        &["windows(10.0.17763)/amd64", "windows(10.0.20348.1)/amd64"],
        Some(1),
    );
    assert_eq!(
        best_match(&platform("linux/amd64").runnable(), [None]),
        None
    );
}

#[test]
fn windows_containers_need_a_fitting_host() {
    let check = |host: &str, guest: &str, expected: bool| {
        let host = platform(&format!("windows({host})/amd64"));
        let guest = platform(&format!("windows({guest})/amd64"));
        assert_eq!(host.accepts(&guest), expected, "{host} {guest}");
    };
    check("10.0.17763.1", "10.0.17763.2", true);
    check("10.0.17763", "10.0.17134", false);
    check("10.0.17763", "10.0.20348", false);
    check("10.0.20348", "10.0.20348.64", true);
    check("10.0.22621", "10.0.20348", true);
    check("10.0.22621", "10.0.17763", false);
    check("10.0.20348", "10.0.22621", false);
    check("10.0.20348", "10.1.20348", false);
    check("10.0.20348", "", true);
    check("", "10.0.20348", true);
    check("10.0", "10.0.20348", true);
    check("10.0.20348", "10.0", false);
}

#[test]
fn required_features_must_be_there() {
    let check = |host: &str, offered: &str, expected: bool| {
        assert_eq!(
            platform(host).accepts(&platform(offered)),
            expected,
            "{host} {offered}"
        );
    };
    check("linux(+gpu+simd)/amd64", "linux(+gpu)/amd64", true);
    check("linux(+simd+gpu)/amd64", "linux(+gpu+simd)/amd64", true);
    check("linux(+gpu)/amd64", "linux/amd64", true);
    check("linux/amd64", "linux(+gpu)/amd64", false);
    check("linux(+gpu)/amd64", "linux(+gpu+simd)/amd64", false);
}

proptest! {
    #[test]
    fn whatever_parses_prints_to_itself(text in "\\PC{0,40}|[a-z0-9(+)%./]{0,40}|[a-z]{1,5}(\\([0-9.]{0,4}(\\+[a-z]{1,3}){0,2}\\))?/[a-z0-9]{1,6}(/v[0-9]{1,2})?") {
        if let Ok(platform) = text.parse::<Platform>() {
            let mut again: Platform = platform.to_string().parse().unwrap();
            let mut sorted = platform.clone();
            sorted.os_features.sort_unstable();
            again.os_features.sort_unstable();
            prop_assert_eq!(again, sorted);
            prop_assert!(platform.accepts(&platform));
            prop_assert_eq!(platform.normalized().normalized(), platform.normalized());
            prop_assert!(platform.runnable().len() < 25);
        }
    }
}
