use super::*;

#[test]
fn bare_names_are_for_path_and_others_are_paths() {
    let check = |text: &str, expected: bool| assert_eq!(is_path(text), expected, "{text}");
    check("helper", false);
    check("./helper", true);
    check("tools/helper", true);
    check("/usr/bin/helper", true);
    check("helper/", true);
    check("..", true);
}

#[test]
fn programs_are_found_in_absolute_directories_of_path_only() {
    let found = |path: &str| find("sh", &Environment::from_iter([("PATH", path)]));
    assert_eq!(found("").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(found(".:bin").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        found("/does/not/exist").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    #[cfg(unix)]
    assert_eq!(found("/does/not/exist:/bin").unwrap(), Path::new("/bin/sh"));
}

#[cfg(unix)]
mod scripts {
    use insta::assert_snapshot;

    use super::*;
    use crate::scripts::Scripts;

    const BOUNDS: Bounds = Bounds {
        timeout: Duration::from_secs(60),
        output: 1 << 16,
    };

    fn run(text: &str, input: &[u8], bounds: Bounds) -> Result<Output> {
        let scripts = Scripts::new();
        let program = scripts.add("helper", text);
        get(
            &program,
            input,
            &scripts.environment([("SEEN", "yes")]),
            bounds,
        )
    }

    fn stdout(text: &str) -> String {
        let output = run(text, b"the input", BOUNDS).unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout.to_vec()).unwrap()
    }

    #[test]
    fn program_gets_its_word_its_input_and_the_given_environment() {
        assert_eq!(
            stdout(
                r#"read -r input; printf '%s' "$# $1 $input $SEEN ${CARGO_MANIFEST_DIR-unset}""#
            ),
            "1 get the input yes unset"
        );
    }

    #[test]
    fn program_that_reads_nothing_answers_all_the_same() {
        let large = vec![b'x'; 1 << 20];
        let output = run("printf answer", &large, BOUNDS).unwrap();
        assert_eq!(output.stdout.as_slice(), b"answer");
    }

    #[test]
    fn exit_code_is_told() {
        let output = run("printf nothing; exit 3", b"", BOUNDS).unwrap();
        assert_eq!(describe(output.status), "exit code 3");
        let output = run("kill -9 $$", b"", BOUNDS).unwrap();
        assert_eq!(describe(output.status), "it was ended by a signal");
    }

    #[test]
    fn output_beyond_the_limit_ends_the_program() {
        let error = run("while :; do echo 0123456789; done", b"", BOUNDS);
        let error = error.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_snapshot!(error, @"it says more than 65536 bytes");
    }

    #[test]
    fn program_that_hangs_is_ended() {
        let bounds = Bounds {
            timeout: Duration::from_millis(200),
            ..BOUNDS
        };
        for text in ["exec sleep 600", "exec >&-; exec sleep 600"] {
            let error = run(text, b"", bounds).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert_eq!(error.to_string(), "it did not answer within 200ms");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn program_that_is_given_up_is_gone_afterwards() {
        let scripts = Scripts::new();
        let pid = scripts.path("pid");
        let text = format!(
            "echo $$ > {}; while :; do echo 0123456789; done",
            pid.display()
        );
        let program = scripts.add("helper", &text);
        let error = get(&program, b"", &scripts.environment([]), BOUNDS).err();
        assert_eq!(error.unwrap().kind(), ErrorKind::TooLarge);
        let pid = fs_err::read_to_string(pid).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists());
    }

    #[test]
    fn file_that_is_no_program_is_an_error_that_says_so() {
        let scripts = Scripts::new();
        let text = scripts.path("text");
        fs_err::write(&text, "text").unwrap();
        let error = get(&text, b"", &scripts.environment([]), BOUNDS)
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_snapshot!(error.chain(), @"cannot start it: permission denied");
    }
}
