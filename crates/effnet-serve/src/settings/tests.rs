use std::collections::BTreeMap;
use std::fs;

use clap::error::ErrorKind;

use super::resolve::Given;
use super::*;

fn flags(arguments: &[&str]) -> Result<Flags, clap::Error> {
    let command = Flags::augment_args(Command::new("serve"));
    let arguments = ["serve"].iter().chain(arguments);
    Flags::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

fn given(
    arguments: &[&str],
    environment: &[(&str, &str)],
    file: Option<&str>,
) -> Result<Given, SettingsError> {
    let environment: BTreeMap<_, _> = environment.iter().copied().collect();
    let mut flags = flags(arguments).unwrap();
    let folder = tempfile::tempdir().unwrap();
    if let Some(text) = file {
        let path = folder.path().join("serve.toml");
        fs::write(&path, text).unwrap();
        flags.config = Some(path);
    }
    Given::new(&flags, |name| environment.get(name).map(|value| (*value).into()))
}

fn settings(
    arguments: &[&str],
    environment: &[(&str, &str)],
    file: Option<&str>,
) -> Result<Settings, String> {
    let settings = given(arguments, environment, file).and_then(|given| Settings::from(&given));
    settings.map_err(|error| error.to_string())
}

/// A value of the setting that is not its default.
fn another(setting: &Setting) -> &'static str {
    match setting.field {
        "model" => "flowers=b0.pth",
        "threads" | "max_batch_size" | "max_queue_size" | "max_images" | "max_pixels"
        | "max_connections" => "7",
        "max_memory" | "max_body" => "3MiB",
        "max_queue_delay" | "timeout" | "header_timeout" | "body_timeout" | "idle_timeout"
        | "grace" => "7ms",
        "batching" => "never",
        "bind" | "grpc_bind" => "[::1]:7000",
        "tls_cert" | "tls_key" | "api_key_file" | "log_file" => "some.file",
        "rate" => "0.5:7",
        "cors" => "https://example.org",
        "log" => "json",
        "log_level" => "debug",
        "otlp" => "http://collector:4317",
        other => panic!("give {other} a value here"),
    }
}

#[test]
fn options_variables_and_keys_are_one_table() {
    let defaults = format!("{:?}", settings(&[], &[], None).unwrap());
    for setting in TABLE {
        let (value, key, variable) = (another(setting), setting.key(), setting.variable());
        let option = settings(&[&format!("--{key}"), value], &[], None).unwrap();
        let environment = settings(&[], &[(&variable, value)], None).unwrap();
        let file = settings(&[], &[], Some(&format!("{key} = {value:?}"))).unwrap();
        let option = format!("{option:?}");
        assert_ne!(option, defaults, "--{key} does nothing");
        assert_eq!(format!("{environment:?}"), option, "{variable}");
        assert_eq!(format!("{file:?}"), option, "{key} in the file");
    }
    let mut command = Flags::augment_args(Command::new("serve").term_width(0));
    let help = command.render_long_help().to_string();
    let options = command.get_arguments().filter(|arg| !["help"].contains(&arg.get_id().as_str()));
    // Beside the table there are --config, --print-config and --check.
    assert_eq!(options.count(), TABLE.len() + 3);
    for setting in TABLE {
        assert!(help.contains(&setting.help()), "{} in\n{help}", setting.help());
    }
}

#[test]
fn all_keys_of_the_file_are_written_alike() {
    // The error lists the keys of a model.
    let unknown = settings(&[], &[], Some("[[model]]\nx = 1")).unwrap_err();
    let keys: Vec<_> = unknown.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert!(keys.contains(&"num-classes".to_owned()) && keys.len() > 15, "{unknown}");
    for key in keys.into_iter().chain(TABLE.iter().map(Setting::key)) {
        assert!(key.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase()), "{key}");
    }
    let file = "[[model]]\nmodel = \"a\"\nnum-classes = 5\non-demand = true";
    let model = settings(&[], &[], Some(file)).unwrap().model.remove(0);
    assert_eq!((model.num_classes, model.on_demand), (Some(5), true));
}

#[test]
fn an_option_beats_a_variable_beats_the_file_beats_the_default() {
    let (file, environment) =
        ("max-images = 2\nlog = \"json\"", [("EFFNET_SERVE_MAX_IMAGES", "3")]);
    let images = |arguments: &[&str], environment: &[(&str, &str)], file| {
        settings(arguments, environment, file).unwrap().max_images.get()
    };
    assert_eq!(images(&["--max-images", "4"], &environment, Some(file)), 4);
    assert_eq!(images(&[], &environment, Some(file)), 3);
    assert_eq!(images(&[], &[], Some(file)), 2);
    assert_eq!(images(&[], &[], None), 64);
    // What a list has elsewhere is not added.
    let models = |arguments: &[&str]| {
        let environment = [("EFFNET_SERVE_MODEL", "a=b0,c")];
        settings(arguments, &environment, Some("model = [\"d\"]")).unwrap().model
    };
    assert_eq!(models(&["-m", "e"]).len(), 1);
    assert_eq!(models(&[])[0].name.as_deref(), Some("a"));
    assert_eq!(models(&[])[1].model.as_deref(), Some("c".as_ref()));
}

#[test]
fn none_turns_a_setting_off() {
    let off = [("EFFNET_SERVE_GRPC_BIND", "none")];
    assert_eq!(settings(&[], &off, None).unwrap().grpc_bind, None);
    let file = "api-key-file = \"keys\"";
    assert!(settings(&["--api-key-file", "none"], &[], Some(file)).unwrap().api_key_file.is_none());
}

#[test]
fn errors_say_where_and_what() {
    let says = |result: Result<Settings, String>, parts: &[&str]| {
        let error = result.unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{error} without {parts:?}");
        assert!(!error.contains('\n'), "{error}");
    };
    says(
        settings(&["--max-body", "32"], &[], None),
        &["--max-body: \"32\" is not a size", "32MiB"],
    );
    let variable = [("EFFNET_SERVE_TIMEOUT", "soon")];
    says(
        settings(&[], &variable, None),
        &["EFFNET_SERVE_TIMEOUT", "\"soon\" is not a time", "30s"],
    );
    let file = |text| settings(&[], &[], Some(text));
    says(
        file("bind = \"0.0.0.0:1\"\n\nmax-boody = \"1MiB\""),
        &["serve.toml:3:", "unknown key max-boody", "is it max-body?"],
    );
    says(file("nonsense_of_another_kind = 1"), &["serve.toml:1:", "--help"]);
    says(file("# all\ngrace = \"30\""), &["serve.toml:2: grace = \"30\" is not a time"]);
    says(file("max-images = [1, 2]"), &["serve.toml:1: max-images takes one value"]);
    says(file("max-images = true"), &["serve.toml:1: max-images must not be of the type boolean"]);
    says(file("\ncors = [\n\"*\",\n\"example.org\"]"), &["serve.toml:4: cors = \"example.org\""]);
    says(file("log = {}"), &["serve.toml:1: log = must not be a table"]);
    says(file("bind = \n"), &["serve.toml:1:"]);
    says(file("[[model]]\nmodel = \"a\"\n[[model]]\nmodle = \"b\""), &["serve.toml:3:", "modle"]);
    says(file("max_body = \"1MiB\""), &["serve.toml:1: unknown key max_body: is it max-body?"]);
    says(file("[[model]]\nimg_size = 9"), &["serve.toml:1: model = unknown field `img_size`"]);
    let missing = Flags { config: Some("no/such.toml".into()), ..Flags::default() };
    let error = missing.settings().unwrap_err().to_string();
    assert!(error.contains("no/such.toml"), "{error}");
    // Twice is once too often, but for lists.
    let twice = flags(&["--timeout", "1s", "--timeout", "2s"]).unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::ArgumentConflict);
    assert!(flags(&["--cors", "*", "--cors", "https://a.b"]).is_ok());
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (arguments, says) in [
        (["--tls-cert", "a"].as_slice(), "--tls-cert needs --tls-key"),
        (&["--tls-key", "a"], "--tls-key needs --tls-cert"),
        (&["--rate", "1"], "--rate is for each key and needs --api-key-file"),
    ] {
        let settings = settings(arguments, &[], None).unwrap();
        assert_eq!(settings.check().unwrap_err().to_string(), says);
    }
}

#[test]
fn values_are_parsed_strictly() {
    fn all<T: value::Parse + PartialEq + std::fmt::Debug>(good: &[(&str, T)], bad: &[&str]) {
        for (text, value) in good {
            assert_eq!(T::parse(text).as_ref(), Ok(value), "{text}");
        }
        for text in bad {
            assert!(T::parse(text).is_err(), "{text:?} gave {:?}", T::parse(text));
        }
    }
    let ms = Duration::from_millis;
    let no_time =
        ["", "1", "s", "1 s", "-1s", "+1s", "1.5s", "1S", "1min", "99999999999999999999s"];
    all(
        &[
            ("500us", Duration::from_micros(500)),
            ("2ms", ms(2)),
            ("0ms", ms(0)),
            ("1h", ms(3_600_000)),
        ],
        &no_time,
    );
    all(&[("5m", Timeout(ms(300_000)))], &["0s", "9000h", "99999999999999999h"]);
    all(
        &[
            ("1B", Size(1)),
            ("32MiB", Size(32 << 20)),
            ("10MB", Size(10_000_000)),
            ("2GiB", Size(2 << 30)),
        ],
        &["", "1", "0B", "MiB", "1 MiB", "1mib", "1.5MiB", "-1B", "99999999999GiB"],
    );
    let rate = |per_second, burst| Rate { per_second, burst: burst_of(burst) };
    fn burst_of(burst: u32) -> std::num::NonZeroU32 {
        burst.try_into().unwrap()
    }
    all(
        &[("10", rate(10.0, 10)), ("0.5", rate(0.5, 1)), ("2.5:50", rate(2.5, 50))],
        &["", "0", "-1", "inf", "nan", "1e3", "1:", "1:0", ":5", "1:2:3", "10/s", "2000000"],
    );
    all(
        &[("127.0.0.1:0", "127.0.0.1:0".parse::<SocketAddr>().unwrap())],
        &["", "8000", ":8000", "localhost:8000", "127.0.0.1", "127.0.0.1:99999"],
    );
    all::<Origin>(&[], &["", "example.org", "https://", "https://a/b", "ftp://a", "https://a b"]);
    all::<NonZeroUsize>(&[], &["", "0", "+1", "-1", "1.0", "one"]);
    all(&[("always", Batching::Always)], &["Always", "yes", ""]);
}

#[test]
fn what_is_printed_can_be_read_again() {
    let file = "max-queue-size = 9\nmodel = [\"a\", { name = \"b\", model = \"c\" }]";
    let arguments = ["--log-file", "a \"quoted\" \\ name", "--grpc-bind", "none"];
    let given = given(&arguments, &[("EFFNET_SERVE_CORS", "*")], Some(file)).unwrap();
    let (printed, read) = (given.print(), Settings::from(&given).unwrap());
    let again = settings(&[], &[], Some(&printed)).unwrap();
    assert_eq!(format!("{again:?}"), format!("{read:?}"), "{printed}");
    for line in [
        "max-queue-size = 9  # ",
        "grpc-bind = \"none\"  # --grpc-bind\n",
        "cors = [\"*\"]  # EFFNET_SERVE_CORS in the environment\n",
        "timeout = \"30s\"  # default\n",
    ] {
        assert!(printed.contains(line), "{line} in\n{printed}");
    }
}
