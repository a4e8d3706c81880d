//! The command line: flags and help texts only.
//!
//! May never decide what a flag means for the run; `app` does. No flag takes a key as its value.

use crate::domain::answers::Draft;
use crate::domain::{ApiKey, Endpoint, IngestionKey, InstrumentationSet, Protocol, Region, ServiceName, Target};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Parser, ValueEnum, ValueHint};
use clap_complete::Shell;
use std::path::PathBuf;
use std::time::Duration;

/// Gets the first trace of a Python app into SigNoz, and proves that it arrived.
#[derive(Debug, Parser)]
#[command(
    name = "signoz-setup",
    version,
    about,
    override_usage = "signoz-setup [MODE] [OPTIONS] [DIR] [-- COMMAND...]",
    after_help = AFTER,
    group(ArgGroup::new("mode").multiple(false)),
    max_term_width = 100,
)]
pub struct Cli {
    /// The Python project
    #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,

    /// How the app is started today, for example `gunicorn app:app --workers 4`
    #[arg(last = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<String>,

    /// Say why spans do not arrive: looks at everything, changes nothing
    #[arg(long, group = "mode", help_heading = "Modes")]
    pub check: bool,

    /// With --check: only these families or checks, comma-separated
    #[arg(long, value_name = "FAMILY", value_delimiter = ',', requires = "check", help_heading = "Modes")]
    pub only: Vec<String>,

    /// With --check: also read this log of the app
    #[arg(long, value_name = "FILE", requires = "check", value_hint = ValueHint::FilePath, help_heading = "Modes")]
    pub log: Option<PathBuf>,

    /// With --check: try the network checks again until they pass or this time is up (90s, 5m)
    #[arg(long, value_name = "DURATION", requires = "check", value_parser = duration, help_heading = "Modes")]
    pub wait: Option<Duration>,

    /// Start the app with its run script against the embedded receiver and say which worker exported what
    #[arg(long, group = "mode", help_heading = "Modes")]
    pub rehearse: bool,

    /// Receive OTLP on 127.0.0.1 (gRPC 4317, HTTP 4318) and show the spans as they come
    #[arg(long, group = "mode", help_heading = "Modes")]
    pub tap: bool,

    /// With --tap: pass everything on to SigNoz as well (--region or --endpoint, and the key)
    #[arg(long, requires = "tap", help_heading = "Modes")]
    pub forward: bool,

    /// With --tap: port for gRPC, 0 for a free one [default: 4317]
    #[arg(long, value_name = "PORT", requires = "tap", help_heading = "Modes")]
    pub grpc_port: Option<u16>,

    /// With --tap: port for HTTP, 0 for a free one [default: 4318]
    #[arg(long, value_name = "PORT", requires = "tap", help_heading = "Modes")]
    pub http_port: Option<u16>,

    /// The whole job without an account: sample app, fresh environment, four workers, every span counted
    #[arg(long, group = "mode", help_heading = "Modes")]
    pub demo: bool,

    /// Put back every change that set-up made here
    #[arg(long, group = "mode", help_heading = "Modes")]
    pub undo: bool,

    /// Show the offline page of a finding; without an ID, list them
    #[arg(long, group = "mode", value_name = "ID", num_args = 0..=1, default_missing_value = "", help_heading = "Modes")]
    pub explain: Option<String>,

    /// Print a shell completion script
    #[arg(long, group = "mode", value_name = "SHELL", conflicts_with = "json", help_heading = "Modes")]
    pub completions: Option<Shell>,

    /// The way spans take; `direct` is straight to SigNoz
    #[arg(long, value_name = "TARGET", value_parser = target(), help_heading = "Answers")]
    pub target: Option<Target>,

    /// SigNoz Cloud region: us, us2, eu, eu2, in, in2 [env: SIGNOZ_REGION]
    #[arg(long, value_name = "REGION", conflicts_with = "endpoint", help_heading = "Answers")]
    pub region: Option<Region>,

    /// Self-hosted SigNoz, a collector elsewhere, a proxy; instead of --region [env: SIGNOZ_ENDPOINT]
    #[arg(long, value_name = "URL", help_heading = "Answers")]
    pub endpoint: Option<Endpoint>,

    /// File that holds the ingestion key, `-` for standard input [env: SIGNOZ_INGESTION_KEY]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, help_heading = "Answers")]
    pub ingestion_key_file: Option<PathBuf>,

    /// File that holds a service-account API key, to read the verification span back [env: SIGNOZ_API_KEY]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, help_heading = "Answers")]
    pub api_key_file: Option<PathBuf>,

    /// Name of the app in SigNoz [env: OTEL_SERVICE_NAME]
    #[arg(long, value_name = "NAME", help_heading = "Answers")]
    pub service_name: Option<ServiceName>,

    /// Resource attribute deployment.environment
    #[arg(long, value_name = "NAME", help_heading = "Answers")]
    pub deployment_environment: Option<ServiceName>,

    /// OTLP transport of the app's exporter
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol(), help_heading = "Answers")]
    pub protocol: Option<Protocol>,

    /// Interpreter or virtual environment of the app
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, help_heading = "Answers")]
    pub python: Option<PathBuf>,

    /// `pinned`: the releases of the SigNoz docs; `current`: the newest tested for the app's Python
    #[arg(long, value_name = "SET", value_parser = instrumentation(), help_heading = "Answers")]
    pub instrumentation: Option<InstrumentationSet>,

    /// Install although part of the app will not be traced
    #[arg(long, help_heading = "Answers")]
    pub accept_gaps: bool,

    /// TOML answers [default: signoz-setup.toml in DIR when it is there]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Answers")]
    pub answers: Option<PathBuf>,

    /// Ask nothing: flags, then variables, then the answers file, then detection
    #[arg(long, help_heading = "Manner")]
    pub yes: bool,

    /// Show the plan and its diffs; write nothing
    #[arg(long, conflicts_with_all = ["check", "rehearse", "tap", "demo", "undo"], help_heading = "Manner")]
    pub dry_run: bool,

    /// Exactly one JSON document on standard output; progress on standard error
    #[arg(long, help_heading = "Manner")]
    pub json: bool,

    /// Lines only, no redrawing
    #[arg(long, help_heading = "Manner")]
    pub plain: bool,

    /// Warnings count as failures in the exit code
    #[arg(long, help_heading = "Manner")]
    pub strict: bool,

    /// No network at all; what needs it is reported as not run
    #[arg(long, help_heading = "Manner")]
    pub offline: bool,

    /// Apply without verifying
    #[arg(long, help_heading = "Manner")]
    pub no_verify: bool,

    /// Colour of the output; NO_COLOR is respected
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = When::Auto, help_heading = "Manner")]
    pub color: When,

    /// Show the output of the tools that run
    #[arg(short, long, help_heading = "Manner")]
    pub verbose: bool,

    /// Append what happens to a file (mode 0600, never a key)
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, help_heading = "Manner")]
    pub log_file: Option<PathBuf>,
}

const AFTER: &str = "\
Exit codes:
  0    done; every check passed (warnings allowed unless --strict)
  1    a check failed, or set-up was applied but could not be verified
  2    usage: bad flag, missing or malformed answer
  3    refused before any change
  4    a step failed; the change was rolled back
  130  interrupted (143: SIGTERM); --undo works";

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Also in a pipe.
    Always,
    /// Never.
    Never,
}

/// `90`, `90s`, `5m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits]
        .parse()
        .map_err(|_| format!("`{}` is not a duration; write 90s, 5m or 1h", text.escape_debug()))?;
    let seconds = match &text[digits..] {
        "" | "s" => number,
        "m" => number * 60,
        "h" => number * 3600,
        _ => return Err(format!("`{}` is not a duration; write 90s, 5m or 1h", text.escape_debug())),
    };
    Ok(Duration::from_secs(seconds))
}

fn target() -> impl TypedValueParser<Value = Target> {
    PossibleValuesParser::new(["direct", "collector", "docker", "kubernetes"]).map(|text| match text.as_str() {
        "collector" => Target::Collector,
        "docker" => Target::Docker,
        "kubernetes" => Target::Kubernetes,
        _ => Target::Direct,
    })
}

fn protocol() -> impl TypedValueParser<Value = Protocol> {
    PossibleValuesParser::new([Protocol::Grpc.as_str(), Protocol::HttpProtobuf.as_str()]).try_map(|text| text.parse::<Protocol>())
}

fn instrumentation() -> impl TypedValueParser<Value = InstrumentationSet> {
    PossibleValuesParser::new([InstrumentationSet::Pinned.as_str(), InstrumentationSet::Current.as_str()]).map(|text| {
        if text == "current" {
            InstrumentationSet::Current
        } else {
            InstrumentationSet::Pinned
        }
    })
}

impl Cli {
    /// The answers that stand on the command line; keys are read by the caller from their files.
    #[must_use]
    pub fn draft(&self, key: Option<IngestionKey>, api_key: Option<ApiKey>) -> Draft {
        Draft {
            target: self.target,
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            service_name: self.service_name.clone(),
            deployment_environment: self.deployment_environment.clone(),
            protocol: self.protocol,
            python: self.python.clone(),
            instrumentation: self.instrumentation,
            accept_gaps: self.accept_gaps.then_some(true),
            command: (!self.command.is_empty()).then(|| self.command.clone()),
            key,
            api_key,
        }
    }

    /// Whether standard output carries the one JSON document.
    #[must_use]
    pub const fn wants_json(&self) -> bool {
        self.json
    }
}
