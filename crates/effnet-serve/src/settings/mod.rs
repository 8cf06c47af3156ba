//! The settings of the server: options of the command, variables of the environment, and one TOML
//! file, from one table.
//!
//! An option beats a variable, a variable the file, the file the default. [`Flags`] are the options;
//! [`Flags::settings`] reads the other two and gives [`Settings`].

mod file;
mod resolve;
mod value;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use effnet::batcher::Batching;

pub use self::resolve::SettingsError;
pub(crate) use self::resolve::unknown_variables;
pub use self::value::{Endpoint, LogLevel, Origin, Size, Timeout};
use self::value::{Raw, Value};
use crate::{LogFormat, ModelSpec, Rate};

/// What variables of the environment begin with.
const PREFIX: &str = "EFFNET_SERVE_";

/// A row of the table.
#[derive(Debug)]
struct Setting {
    /// As a field; options and keys have `-` for `_`.
    field: &'static str,
    short: Option<char>,
    group: &'static str,
    value: &'static str,
    help: &'static [&'static str],
    default: &'static str,
    many: bool,
}

impl Setting {
    /// The key in the file, and the option without its `--`.
    fn key(&self) -> String {
        self.field.replace('_', "-")
    }

    /// The variable of the environment.
    fn variable(&self) -> String {
        format!("{PREFIX}{}", self.field.to_uppercase())
    }

    fn help(&self) -> String {
        let mut help = self.help.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        if help.ends_with('.') {
            help.pop();
        }
        if !self.default.is_empty() {
            help.push_str(&format!(" [default: {}]", self.default));
        }
        help
    }
}

macro_rules! settings {
    ($( $group:literal { $( $(#[doc = $help:literal])+ $(($short:literal))?
        $field:ident: $type:ty, $value:literal, $default:literal; )+ } )+) => {
        /// What the server is told; each field is an option of the command.
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub struct Settings {
            $($( $(#[doc = $help])+ pub $field: $type, )+)+
        }

        static TABLE: &[Setting] = &[
            $($( Setting {
                field: stringify!($field),
                short: [$($short,)?].as_slice().first().copied(),
                group: $group,
                value: $value,
                help: &[$($help),+],
                default: $default,
                many: <$type as Value>::MANY,
            }, )+)+
        ];

        impl Settings {
            fn from(given: &resolve::Given) -> Result<Self, SettingsError> {
                Ok(Self { $($( $field: given.value(stringify!($field))?, )+)+ })
            }
        }
    };
}

// Field, type, name of the value in the help, default (empty: none).
settings! {
    "Models" {
        /// Model to serve, and the name that requests call it: a timm name, a hub repository, a
        /// folder or a checkpoint; may be repeated, the first is the default. The bundled one if absent.
        ('m') model: Vec<ModelSpec>, "[NAME=]MODEL", "";
        /// Threads that decode and run models, all models together; the machine's cores if absent.
        threads: Option<NonZeroUsize>, "N", "";
        /// Most memory that models may take together; no limit if absent.
        max_memory: Option<Size>, "SIZE", "";
        /// Most images that go through a network together.
        max_batch_size: NonZeroUsize, "N", "16";
        /// Most images that wait for a model; further ones are refused with status 429.
        max_queue_size: NonZeroUsize, "N", "256";
        /// How long an image waits for others to join it, if images are faster together.
        max_queue_delay: Duration, "TIME", "2ms";
        /// Whether images go through a network together: auto (measure it), always or never.
        batching: Batching, "WHEN", "auto";
    }
    "Addresses" {
        /// Address of the HTTP side.
        bind: SocketAddr, "ADDRESS:PORT", "127.0.0.1:8000";
        /// Address of the gRPC side, or none.
        grpc_bind: Option<SocketAddr>, "ADDRESS:PORT", "127.0.0.1:8001";
        /// Certificate chain in PEM: with it both sides speak TLS.
        tls_cert: Option<PathBuf>, "FILE", "";
        /// Private key of the certificate in PEM.
        tls_key: Option<PathBuf>, "FILE", "";
    }
    "Limits" {
        /// Most bytes of a request's body; those of all requests together may have 16 times as many.
        max_body: Size, "SIZE", "32MiB";
        /// Most images of a request.
        max_images: NonZeroUsize, "N", "64";
        /// Most pixels of an image; a larger one is not decoded.
        max_pixels: NonZeroUsize, "N", "178956970";
        /// Time for an answer, once its request has come.
        timeout: Timeout, "TIME", "30s";
        /// Most connections at once, both sides together.
        max_connections: NonZeroUsize, "N", "4096";
        /// Time for a request's head, and for the handshake of TLS.
        header_timeout: Timeout, "TIME", "10s";
        /// Time for every 16 KiB of a request's body or of its answer; for a whole body while those of
        /// all requests take more than half of the memory for them.
        body_timeout: Timeout, "TIME", "10s";
        /// Time that a connection may stay open without a request.
        idle_timeout: Timeout, "TIME", "75s";
        /// Time for the answers that are under way when the server is told to end.
        grace: Timeout, "TIME", "30s";
    }
    "Access" {
        /// File with the keys that requests must have, one a line, as KEY or NAME:KEY; read again on SIGHUP.
        api_key_file: Option<PathBuf>, "FILE", "";
        /// Requests a second of each key, and how many may come at once.
        rate: Option<Rate>, "RATE[:BURST]", "";
        /// Origin whose web pages may use the server, or *; may be repeated.
        cors: Vec<Origin>, "ORIGIN", "";
    }
    "Log" {
        /// Form of the log: text or json.
        log: LogFormat, "FORM", "text";
        /// File to add the log to, opened again on SIGHUP; standard error if absent.
        log_file: Option<PathBuf>, "FILE", "";
        /// Least level that is logged: error, warn, info, debug or trace.
        log_level: LogLevel, "LEVEL", "info";
        /// OpenTelemetry collector that gets traces, by OTLP over gRPC; needs a build with the feature otlp.
        otlp: Option<Endpoint>, "URL", "";
    }
}

/// The options of a command line.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// By field.
    given: Vec<(&'static str, Vec<Raw>)>,
    config: Option<PathBuf>,
    print_config: bool,
    check: bool,
}

impl Flags {
    /// Whether the settings are only to be printed.
    #[must_use]
    pub fn print_config(&self) -> bool {
        self.print_config
    }

    /// Whether the server that runs with these settings is only to be asked whether it is ready.
    #[must_use]
    pub fn check(&self) -> bool {
        self.check
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("TOML file with settings: the names of these options are its keys")
            .env(format!("{PREFIX}CONFIG"))
            .hide_env(true);
        let print = Arg::new("print_config")
            .long("print-config")
            .action(ArgAction::SetTrue)
            .help("Print the settings as a TOML file, with where each came from, and end");
        let check = Arg::new("check")
            .long("check")
            .action(ArgAction::SetTrue)
            .help("Ask the server that runs here with these settings whether it is ready, and end");
        let command = command.args([config, print, check]);
        TABLE
            .iter()
            .fold(command, |command, setting| {
                let action = if setting.many { ArgAction::Append } else { ArgAction::Set };
                let mut arg = Arg::new(setting.field)
                    .long(setting.key())
                    .value_name(setting.value)
                    .action(action)
                    .help(setting.help())
                    .help_heading(setting.group);
                if let Some(short) = setting.short {
                    arg = arg.short(short);
                }
                command.arg(arg)
            })
            .after_help(StyledStr::from(format!(
                "Each option with a value is also a variable of the environment, such as \
             {PREFIX}MAX_BODY for --max-body (the values of a repeated option with commas between \
             them), and a key of the file. An option beats a variable, a variable the file. Nothing \
             is ever fetched for an image: images come in bodies of requests."
        )))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in TABLE {
            if let Some(values) = matches.get_many::<String>(setting.field) {
                self.given.push((setting.field, values.cloned().map(Raw::Text).collect()));
            }
        }
        self.config = matches.get_one("config").cloned();
        self.print_config = matches.get_flag("print_config");
        self.check = matches.get_flag("check");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
