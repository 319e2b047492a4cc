//! Where to connect, and as whom: libpq's sources of connection parameters, in its order.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::passfile::{self, Password};
use super::service;
use super::tls::{self, Encryption};
use crate::net;
use crate::outcome::CheckError;
use crate::spec::{PostgresServer, Secret};

const PORT: u16 = 5432;
/// Where a server's socket is when no host is given: as Debian, Red Hat and PostgreSQL itself build it.
const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

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

#[derive(Clone, Debug, PartialEq)]
pub enum Address {
    /// The certificate is for `host`; `address` (libpq's `hostaddr`) is the host again, or saves its look-up.
    Tcp { host: String, address: String, port: u16 },
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Address {
    /// The address as it stands in messages.
    pub fn target(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } => net::target(host, *port),
            #[cfg(unix)]
            Self::Unix(socket) => socket.display().to_string(),
        }
    }
}

/// What libpq looks at beside the parameters: the environment and the home directory.
pub struct Surroundings {
    variables: HashMap<String, String>,
    home: Option<PathBuf>,
}

impl Surroundings {
    pub fn real() -> Self {
        let home = if cfg!(windows) { env::var_os("APPDATA").map(PathBuf::from) } else { env::home_dir() };
        let known =
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { variables: known.filter(|(name, _)| name.starts_with("PG")).collect(), home }
    }

    #[cfg(test)]
    pub fn fixed(variables: &[(&str, &str)]) -> Self {
        let owned = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Self { variables: owned.collect(), home: None }
    }

    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
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

    let addresses = addresses(
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

fn wrong(text: &str) -> CheckError {
    CheckError::Configuration(format!("PostgreSQL: {text}"))
}

/// The comma-separated hosts, host addresses and ports, combined as libpq does.
fn addresses(
    hosts: Option<String>,
    hostaddrs: Option<String>,
    ports: Option<String>,
) -> Result<Vec<Address>, CheckError> {
    let list = |text: Option<String>| -> Vec<String> {
        text.map(|text| text.split(',').map(|item| item.trim().to_owned()).collect()).unwrap_or_default()
    };
    let (hosts, hostaddrs) = (list(hosts), list(hostaddrs));
    let ports = list(ports).iter().map(|text| port(text)).collect::<Result<Vec<_>, _>>()?;
    let count = hosts.len().max(hostaddrs.len()).max(1);
    let fits = |len: usize| len == 0 || len == count;
    if !fits(hosts.len()) || !fits(hostaddrs.len()) || !(ports.len() == 1 || fits(ports.len())) {
        return Err(wrong("host, hostaddr and port name different numbers of servers"));
    }
    let filled = |items: &[String], at: usize| items.get(at).filter(|item| !item.is_empty()).cloned();
    let each = (0..count).map(|at| {
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
        match (filled(&hosts, at), filled(&hostaddrs, at)) {
            (host, Some(address)) => Address::Tcp { host: host.unwrap_or_else(|| address.clone()), address, port },
            #[cfg(unix)]
            (Some(directory), None) if directory.starts_with('/') => Address::Unix(socket(Path::new(&directory), port)),
            (Some(host), None) => Address::Tcp { address: host.clone(), host, port },
            (None, None) => default_address(port),
        }
    });
    Ok(each.collect())
}

fn port(text: &str) -> Result<u16, CheckError> {
    match text.parse() {
        _ if text.is_empty() => Ok(PORT),
        Ok(port) if port > 0 => Ok(port),
        _ => Err(wrong("port is no number from 1 to 65535")),
    }
}

#[cfg(unix)]
fn socket(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}

#[cfg(unix)]
fn default_address(port: u16) -> Address {
    let sockets = SOCKET_DIRECTORIES.map(|directory| socket(Path::new(directory), port));
    let [usual, _] = &sockets;
    Address::Unix(sockets.iter().find(|path| path.exists()).unwrap_or(usual).clone())
}

#[cfg(not(unix))]
fn default_address(port: u16) -> Address {
    Address::Tcp { host: "localhost".to_owned(), address: "localhost".to_owned(), port }
}

fn look_up(file: &Path, address: &Address, dbname: &str, user: &str) -> Password {
    let (host, port) = match address {
        Address::Tcp { host, port, .. } => (host.clone(), port.to_string()),
        #[cfg(unix)]
        Address::Unix(socket) => {
            let directory = socket.parent().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
            // The default directory goes by the name of localhost there.
            let default = SOCKET_DIRECTORIES.contains(&&*directory);
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

    #[test]
    fn explicit_values_come_before_the_service_and_that_before_the_environment() {
        let file = env::temp_dir().join(format!("lifesigns-services-{}", std::process::id()));
        std::fs::write(&file, "[app]\nhost=service\nuser=service\nport=5433\nsslmode=require\n").unwrap();
        let around = Surroundings::fixed(&[
            ("PGSERVICEFILE", file.to_str().unwrap()),
            ("PGSERVICE", "app"),
            ("PGHOST", "environment"),
            ("PGUSER", "environment"),
            ("PGDATABASE", "environment"),
            ("PGPASSWORD", "hidden"),
            ("PGCONNECT_TIMEOUT", "7"),
        ]);
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
        let login = resolve(&PostgresServer::default(), &Surroundings::fixed(&[("PGHOST", "")])).unwrap();
        assert_eq!(login.user, whoami::username().unwrap());
        assert_eq!(login.dbname, login.user);
        assert_eq!(login.connect_timeout, None);
        #[cfg(unix)]
        assert!(matches!(&login.endpoints[0].address, Address::Unix(path) if path.ends_with(".s.PGSQL.5432")));
    }

    #[test]
    fn an_explicit_empty_host_hides_the_environment() {
        let spec = PostgresServer { host: Some(String::new()), ..PostgresServer::default() };
        let login = resolve(&spec, &Surroundings::fixed(&[("PGHOST", "elsewhere")])).unwrap();
        assert!(!login.endpoints[0].address.target().contains("elsewhere"));
    }

    #[test]
    fn a_service_that_is_defined_nowhere_is_a_wrong_configuration() {
        let spec = PostgresServer { service: Some("nowhere".into()), ..PostgresServer::default() };
        let around = Surroundings::fixed(&[("PGSYSCONFDIR", "/nonexistent")]);
        assert!(matches!(resolve(&spec, &around), Err(CheckError::Configuration(_))));
    }

    #[test]
    fn several_servers_are_combined_with_their_ports() {
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            (some("a"), None, None, vec![tcp("a", "a", 5432)]),
            (some("a,b"), None, some("1"), vec![tcp("a", "a", 1), tcp("b", "b", 1)]),
            (some("a,b"), None, some("1,"), vec![tcp("a", "a", 1), tcp("b", "b", 5432)]),
            (some("a"), some("::1"), some("1"), vec![tcp("a", "::1", 1)]),
            (None, some("::1"), None, vec![tcp("::1", "::1", 5432)]),
            #[cfg(unix)]
            (some("/run/pg"), None, some("7"), vec![Address::Unix("/run/pg/.s.PGSQL.7".into())]),
        ];
        for (hosts, hostaddrs, ports, expected) in cases {
            assert_eq!(addresses(hosts.clone(), hostaddrs, ports).unwrap(), expected, "{hosts:?}");
        }
        for (hosts, ports) in [("a,b", "1,2,3"), ("a", "0"), ("a", "x"), ("a", "65536")] {
            assert!(addresses(some(hosts), None, some(ports)).is_err(), "{hosts} {ports}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_password_file_knows_the_default_socket_as_localhost() {
        use std::os::unix::fs::PermissionsExt;
        let file = env::temp_dir().join(format!("lifesigns-pgpass-{}", std::process::id()));
        std::fs::write(&file, "localhost:5432:d:u:socket\n/run/pg:5432:d:u:directory\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        for (directory, expected) in [("/tmp", "socket"), ("/run/pg", "directory")] {
            let address = Address::Unix(socket(Path::new(directory), 5432));
            assert_eq!(look_up(&file, &address, "d", "u"), Password::Found(Secret::new(expected)));
        }
        std::fs::remove_file(&file).unwrap();
    }
}
