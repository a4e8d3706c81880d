//! Where answers come from when nobody is asked: flags, then variables, then the answers file.

use super::Context;
use crate::cli::Cli;
use crate::domain::answers::Draft;
use crate::domain::secret::KeyError;
use crate::domain::{ApiKey, IngestionKey, Region};
use crate::error::{Error, Kind, Result};
use crate::planner;
use crate::system::System;
use crate::wizard::KeptKey;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Name of the answers file in the project.
pub(super) const FILE: &str = "signoz-setup.toml";

/// The project folder, absolute and without symlinks.
pub(super) fn project(cli: &Cli) -> Result<PathBuf> {
    let folder = fs::canonicalize(&cli.directory).map_err(|error| {
        Error::io(Kind::Usage, "open the project folder", &cli.directory, &error).remedy("give the folder of your Python project as DIR")
    })?;
    if folder.is_dir() {
        Ok(folder)
    } else {
        Err(Error::usage(format!("`{}` is not a folder", cli.directory.display())).remedy("give the folder of your Python project as DIR"))
    }
}

/// Everything that was answered beforehand: flags, then variables, then the answers file; and an earlier set-up's key, for
/// the endpoint that it was written for.
pub(super) fn given(context: &Context, project: &Path) -> Result<Draft> {
    let mut draft = spoken(context)?.or(file(&context.cli, project)?);
    if draft.key.is_none() {
        let endpoint = draft.endpoint.clone().or_else(|| draft.region.as_ref().map(Region::endpoint));
        draft.key = kept_key(project)
            .filter(|kept| Some(&kept.endpoint) == endpoint.as_ref())
            .map(|kept| kept.key);
    }
    Ok(draft)
}

/// What was said for this run: flags, then variables.
pub(super) fn spoken(context: &Context) -> Result<Draft> {
    let Context { cli, system, .. } = context;
    let key = credential(
        system,
        cli.ingestion_key_file.as_deref(),
        "--ingestion-key-file",
        "SIGNOZ_INGESTION_KEY",
        IngestionKey::parse,
    )?;
    let api_key = credential(
        system,
        cli.api_key_file.as_deref(),
        "--api-key-file",
        "SIGNOZ_API_KEY",
        ApiKey::parse,
    )?;
    let flags = cli.draft(key, api_key);
    let variables = variables(system, &flags)?;
    Ok(flags.or(variables))
}

/// The key that an earlier set-up wrote for its app.
pub(super) fn kept_key(project: &Path) -> Option<KeptKey> {
    let text = fs::read_to_string(project.join(".signoz/otel.env")).ok()?;
    let (endpoint, key) = planner::env_file::read(&text)?;
    Some(KeptKey { endpoint, key })
}

/// A credential from its file, or from its variable.
fn credential<T>(
    system: &System,
    path: Option<&Path>,
    flag: &str,
    variable: &str,
    parse: impl Fn(&str) -> std::result::Result<T, KeyError>,
) -> Result<Option<T>> {
    let (text, source) =
        match path {
            Some(path) if path == Path::new("-") => {
                let mut text = String::new();
                std::io::stdin().lock().take(64 * 1024).read_to_string(&mut text).map_err(|error| {
                    Error::usage(format!("cannot read the key for {flag} from standard input")).because(error.to_string())
                })?;
                (text, format!("standard input ({flag} -)"))
            }
            Some(path) => {
                let text =
                    fs::read_to_string(path).map_err(|error| Error::io(Kind::Usage, &format!("read the file of {flag}"), path, &error))?;
                (text, format!("`{}` ({flag})", path.display()))
            }
            None => match system.env.get(variable) {
                // Set but empty is a mistake worth naming: a secret that was not mounted.
                Some(text) => (text.clone(), variable.to_owned()),
                None => return Ok(None),
            },
        };
    parse(&text).map(Some).map_err(|error| {
        Error::usage(format!("the key in {source} cannot be used"))
            .because(error.to_string())
            .remedy(format!(
                "copy the key again (SigNoz: Settings, Ingestion) and pass it with {flag} FILE or {variable}"
            ))
    })
}

/// Variables that no flag has answered; the others are not even read.
fn variables(system: &System, flags: &Draft) -> Result<Draft> {
    let directed = flags.region.is_some() || flags.endpoint.is_some();
    let draft = Draft {
        region: if directed { None } else { variable(system, "SIGNOZ_REGION")? },
        endpoint: if directed { None } else { variable(system, "SIGNOZ_ENDPOINT")? },
        service_name: if flags.service_name.is_some() {
            None
        } else {
            variable(system, "OTEL_SERVICE_NAME")?
        },
        ..Draft::default()
    };
    if draft.region.is_some() && draft.endpoint.is_some() {
        return Err(
            Error::usage("SIGNOZ_REGION and SIGNOZ_ENDPOINT are both set").remedy("unset one of them, or pass --region or --endpoint")
        );
    }
    Ok(draft)
}

fn variable<T: FromStr<Err = crate::domain::target::Malformed>>(system: &System, name: &str) -> Result<Option<T>> {
    system
        .var(name)
        .map(|text| {
            text.parse().map_err(|error: crate::domain::target::Malformed| {
                Error::usage(format!("the variable {name} is malformed")).because(error.to_string())
            })
        })
        .transpose()
}

/// The answers file; empty when there is none.
pub(super) fn file(cli: &Cli, project: &Path) -> Result<Draft> {
    let path = cli.answers.clone().unwrap_or_else(|| project.join(FILE));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && cli.answers.is_none() => return Ok(Draft::default()),
        Err(error) => return Err(Error::io(Kind::Usage, "read the answers file", &path, &error)),
    };
    let malformed = |why: String| Error::usage(format!("the answers file `{}` is malformed", path.display())).because(why);
    for (number, line) in text.lines().enumerate() {
        let name = line.split('=').next().unwrap_or_default().trim().replace('_', "-");
        if ["ingestion-key", "signoz-ingestion-key", "key", "api-key"].contains(&name.as_str()) {
            return Err(
                malformed(format!("line {} holds a key, and the file is made to be committed", number + 1))
                    .remedy("remove that line and pass --ingestion-key-file or set SIGNOZ_INGESTION_KEY"),
            );
        }
    }
    let draft: Draft = toml_edit::de::from_str(&text).map_err(|error| {
        // For an unknown name the parser points at the whole document.
        let unknown = error
            .message()
            .strip_prefix("unknown field `")
            .and_then(|rest| rest.split('`').next());
        let named = unknown.and_then(|name| {
            text.lines()
                .position(|line| line.split('=').next().is_some_and(|key| key.trim() == name))
        });
        let line = named
            .map(|index| index + 1)
            .or_else(|| error.span().map(|span| text[..span.start.min(text.len())].lines().count().max(1)));
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        malformed(format!("{place}{}", error.message().lines().next().unwrap_or_default()))
    })?;
    if draft.region.is_some() && draft.endpoint.is_some() {
        return Err(malformed("it has both `region` and `endpoint`".to_owned()).remedy("keep one of them"));
    }
    Ok(draft)
}
