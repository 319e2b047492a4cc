//! Where to connect, and as whom: libpq's sources of connection parameters, in its order.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::address::{self, Address};
use super::passfile::{self, Password};
use super::service;
use super::tls::{self, Encryption};
use crate::checks::postgres::PostgresServer;
use crate::model::CheckError;
use crate::model::Secret;

/// All that is needed to connect.
#[derive(Debug)]
pub struct Login {
    /// To be tried in order.
    pub endpoints: Vec<Endpoint>,
    pub user: String,
    pub dbname: String,
    pub options: String,
    pub application_name: String,
    /// For each endpoint.
    pub connect_timeout: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct Endpoint {
    pub address: Address,
    pub password: Password,
    pub ways: Vec<Encryption>,
}

/// What libpq looks at beside the parameters: the environment and the home directory.
pub struct Surroundings {
    variable: fn(&str) -> Option<String>,
    home: Option<PathBuf>,
}

impl Surroundings {
    pub fn real() -> Self {
        let home = if cfg!(windows) { env::var_os("APPDATA").map(PathBuf::from) } else { env::home_dir() };
        Self { variable: |name| env::var(name).ok(), home }
    }

    #[cfg(test)]
    pub fn fixed(variable: fn(&str) -> Option<String>) -> Self {
        Self { variable, home: None }
    }

    pub fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name)
    }

    /// A file in the home directory, by its Unix name without the leading dot where it lies in a folder.
    pub fn home_file(&self, name: &str) -> Option<PathBuf> {
        let home = self.home.as_deref()?;
        Some(match (cfg!(windows), name.strip_prefix("postgresql/")) {
            (true, Some(file)) => home.join("postgresql").join(file),
            (true, None) => home.join("postgresql").join(name),
            (false, Some(file)) => home.join(".postgresql").join(file),
            (false, None) => home.join(name),
        })
    }
}

/// Completes `spec` from the service, the environment, the password file and the defaults. Blocks on files.
pub fn resolve(spec: &PostgresServer, around: &Surroundings) -> Result<Login, CheckError> {
    let service = spec.service.clone().or_else(|| around.variable("PGSERVICE")).filter(|name| !name.is_empty());
    let service = service.map(|name| service::read(&name, around)).transpose()?.unwrap_or_default();
    // An empty value is a value: it stands for the default, and hides what comes later.
    let given = |explicit: Option<String>, parameter: &str, variable: &str| {
        let value = explicit.or_else(|| service.get(parameter).cloned()).or_else(|| around.variable(variable));
        value.filter(|value| !value.is_empty())
    };
    let path = |explicit: &Option<PathBuf>, parameter: &str, variable: &str| {
        given(explicit.as_ref().map(|path| path.to_string_lossy().into_owned()), parameter, variable).map(PathBuf::from)
    };

    let user = match given(spec.user.clone(), "user", "PGUSER") {
        Some(user) => user,
        None => whoami::username().map_err(|_| wrong("user is not set, and this process's user has no name"))?,
    };
    let dbname = given(spec.dbname.clone(), "dbname", "PGDATABASE").unwrap_or_else(|| user.clone());
    let password = given(spec.password.as_ref().map(|p| p.expose().to_owned()), "password", "PGPASSWORD");
    let password = password.map(Secret::new);
    let passfile = path(&spec.passfile, "passfile", "PGPASSFILE")
        .or_else(|| around.home_file(if cfg!(windows) { "pgpass.conf" } else { ".pgpass" }));

    let mode = match spec.sslmode {
        Some(mode) => Some(mode),
        None => given(None, "sslmode", "PGSSLMODE")
            .map(|text| tls::parse_mode(&text).ok_or_else(|| wrong("sslmode is none of libpq's")))
            .transpose()?,
    };
    let options = tls::Options {
        mode,
        root: path(&spec.sslrootcert, "sslrootcert", "PGSSLROOTCERT"),
        cert: path(&spec.sslcert, "sslcert", "PGSSLCERT"),
        key: path(&spec.sslkey, "sslkey", "PGSSLKEY"),
    };

    let addresses = address::all(
        given(spec.host.clone(), "host", "PGHOST"),
        given(None, "hostaddr", "PGHOSTADDR"),
        given(spec.port.map(|port| port.to_string()), "port", "PGPORT"),
    )?;
    let endpoints = addresses.into_iter().map(|address| {
        let password = match (&password, &passfile) {
            (Some(password), _) => Password::Found(password.clone()),
            (None, Some(file)) => look_up(file, &address, &dbname, &user),
            (None, None) => Password::Missing,
        };
        let ways = match &address {
            Address::Tcp { .. } => tls::ways(&options, around)?,
            #[cfg(unix)]
            Address::Unix(_) => vec![Encryption::Off],
        };
        Ok(Endpoint { address, password, ways })
    });

    let connect_timeout = given(spec.connect_timeout.map(|s| s.to_string()), "connect_timeout", "PGCONNECT_TIMEOUT")
        .map(|text| text.trim().parse::<i64>().map_err(|_| wrong("connect_timeout is no number of seconds")))
        .transpose()?;
    Ok(Login {
        endpoints: endpoints.collect::<Result<_, CheckError>>()?,
        user,
        dbname,
        options: given(spec.options.clone(), "options", "PGOPTIONS").unwrap_or_default(),
        application_name: given(spec.application_name.clone(), "application_name", "PGAPPNAME")
            .unwrap_or_else(|| "lifesigns".to_owned()),
        // With libpq, 0 and less mean no limit.
        connect_timeout: connect_timeout
            .and_then(|s| u64::try_from(s).ok())
            .filter(|s| *s > 0)
            .map(Duration::from_secs),
    })
}

pub fn wrong(text: &str) -> CheckError {
    CheckError::Configuration(format!("PostgreSQL: {text}"))
}

fn look_up(file: &Path, address: &Address, dbname: &str, user: &str) -> Password {
    let (host, port) = match address {
        Address::Tcp { host, port, .. } => (host.clone(), port.to_string()),
        #[cfg(unix)]
        Address::Unix(socket) => {
            let directory = socket.parent().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
            // The default directory goes by the name of localhost there.
            let default = address::SOCKET_DIRECTORIES.contains(&&*directory);
            let port = socket.extension().map(|port| port.to_string_lossy().into_owned()).unwrap_or_default();
            (if default { "localhost".to_owned() } else { directory }, port)
        }
    };
    passfile::find(file, [&host, &port, dbname, user])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn tcp(host: &str, address: &str, port: u16) -> Address {
        Address::Tcp { host: host.into(), address: address.into(), port }
    }

    fn services() -> PathBuf {
        env::temp_dir().join(format!("lifesigns-services-{}", std::process::id()))
    }

    #[test]
    fn explicit_values_come_before_the_service_and_that_before_the_environment() {
        let file = services();
        std::fs::write(&file, "[app]\nhost=service\nuser=service\nport=5433\nsslmode=require\n").unwrap();
        let around = Surroundings::fixed(|name| {
            Some(match name {
                "PGSERVICEFILE" => services().to_string_lossy().into_owned(),
                "PGSERVICE" => "app".to_owned(),
                "PGHOST" | "PGUSER" | "PGDATABASE" => "environment".to_owned(),
                "PGPASSWORD" => "hidden".to_owned(),
                "PGCONNECT_TIMEOUT" => "7".to_owned(),
                _ => return None,
            })
        });
        let spec = PostgresServer { host: Some("explicit".into()), ..PostgresServer::default() };
        let login = resolve(&spec, &around).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(login.endpoints[0].address, tcp("explicit", "explicit", 5433));
        assert_eq!(login.endpoints[0].password, Password::Found(Secret::new("hidden")));
        assert!(matches!(login.endpoints[0].ways[..], [Encryption::Required(_)]));
        assert_eq!((&*login.user, &*login.dbname), ("service", "environment"));
        assert_eq!(login.connect_timeout, Some(Duration::from_secs(7)));
        assert_eq!(login.application_name, "lifesigns");
        assert!(!format!("{login:?}").contains("hidden"));
    }

    #[test]
    fn without_anything_it_is_the_local_server_and_the_own_name() {
        let login =
            resolve(&PostgresServer::default(), &Surroundings::fixed(|name| (name == "PGHOST").then(String::new)))
                .unwrap();
        assert_eq!(login.user, whoami::username().unwrap());
        assert_eq!(login.dbname, login.user);
        assert_eq!(login.connect_timeout, None);
        #[cfg(unix)]
        assert!(matches!(&login.endpoints[0].address, Address::Unix(path) if path.ends_with(".s.PGSQL.5432")));
    }

    #[test]
    fn an_explicit_empty_host_hides_the_environment() {
        let spec = PostgresServer { host: Some(String::new()), ..PostgresServer::default() };
        let login =
            resolve(&spec, &Surroundings::fixed(|name| (name == "PGHOST").then(|| "elsewhere".to_owned()))).unwrap();
        assert!(!login.endpoints[0].address.target().contains("elsewhere"));
    }

    #[test]
    fn a_service_that_is_defined_nowhere_is_a_wrong_configuration() {
        let spec = PostgresServer { service: Some("nowhere".into()), ..PostgresServer::default() };
        let around = Surroundings::fixed(|name| (name == "PGSYSCONFDIR").then(|| "/nonexistent".to_owned()));
        assert!(matches!(resolve(&spec, &around), Err(CheckError::Configuration(_))));
    }

    #[cfg(unix)]
    #[test]
    fn the_password_file_knows_the_default_socket_as_localhost() {
        use std::os::unix::fs::PermissionsExt;
        let file = env::temp_dir().join(format!("lifesigns-pgpass-{}", std::process::id()));
        std::fs::write(&file, "localhost:5432:d:u:socket\n/run/pg:5432:d:u:directory\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        for (directory, expected) in [("/tmp", "socket"), ("/run/pg", "directory")] {
            let address = Address::Unix(Path::new(directory).join(".s.PGSQL.5432"));
            assert_eq!(look_up(&file, &address, "d", "u"), Password::Found(Secret::new(expected)));
        }
        std::fs::remove_file(&file).unwrap();
    }
}
