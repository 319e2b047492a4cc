//! Where to connect, and as whom: libpq's sources of connection parameters, in its order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::address::{self, Address};
use super::encryption::{self, Encryption};
use super::environment::Environment;
use super::password_file::{self, Password};
use super::service_file;
use crate::checks::postgres::errors::configuration;
use crate::checks::postgres::spec::{self, Ports};
use crate::checks::postgres::{ChannelBinding, GssEncMode, LoadBalanceHosts, PostgresServer, TargetSessionAttrs};
use crate::model::{CheckError, Secret};

/// All that is needed to connect.
#[derive(Debug)]
pub struct Parameters {
    /// In the configured order.
    pub endpoints: Vec<Endpoint>,
    pub user: String,
    pub dbname: String,
    pub options: String,
    pub application_name: String,
    /// For each endpoint.
    pub connect_timeout: Option<Duration>,
    pub target_session_attrs: TargetSessionAttrs,
    pub load_balance_hosts: LoadBalanceHosts,
    pub channel_binding: ChannelBinding,
}

#[derive(Clone, Debug)]
pub struct Endpoint {
    pub address: Address,
    pub password: Password,
    pub attempts: Vec<Encryption>,
}

/// Completes `server` from the service, the environment, the password file and the defaults. Blocks on files.
pub fn resolve(server: &PostgresServer, environment: &Environment) -> Result<Parameters, CheckError> {
    let service = server.service.clone().or_else(|| environment.variable("PGSERVICE")).filter(|name| !name.is_empty());
    let service = service.map(|name| service_file::read(&name, environment)).transpose()?.unwrap_or_default();
    // An empty value is a value: it stands for the default, and hides what comes later.
    let given = |explicit: Option<String>, parameter: &str, variable: &str| {
        let value = explicit.or_else(|| service.get(parameter).cloned()).or_else(|| environment.variable(variable));
        value.filter(|value| !value.is_empty())
    };
    let path = |explicit: &Option<PathBuf>, parameter: &str, variable: &str| {
        given(explicit.as_ref().map(|path| path.to_string_lossy().into_owned()), parameter, variable).map(PathBuf::from)
    };

    let user = match given(server.user.clone(), "user", "PGUSER") {
        Some(user) => user,
        None => {
            whoami::username().map_err(|_| configuration("user is not set, and this process's user has no name"))?
        }
    };
    let dbname = given(server.dbname.clone(), "dbname", "PGDATABASE").unwrap_or_else(|| user.clone());
    let password = given(server.password.as_ref().map(|p| p.expose().to_owned()), "password", "PGPASSWORD");
    let password = password.map(Secret::new);
    let passfile = path(&server.passfile, "passfile", "PGPASSFILE")
        .or_else(|| environment.home_file(if cfg!(windows) { "pgpass.conf" } else { ".pgpass" }));

    let mode = word(server.sslmode, given(None, "sslmode", "PGSSLMODE"), "sslmode")?;
    let negotiation = given(None, "sslnegotiation", "PGSSLNEGOTIATION");
    // libpq has no variable for it.
    let key_password = server.sslpassword.clone().or_else(|| service.get("sslpassword").map(Secret::new));
    let key_password = key_password.filter(|password| !password.is_empty());
    let options = encryption::Options {
        mode,
        negotiation: word(server.sslnegotiation, negotiation, "sslnegotiation")?,
        root: path(&server.sslrootcert, "sslrootcert", "PGSSLROOTCERT"),
        cert: path(&server.sslcert, "sslcert", "PGSSLCERT"),
        key: path(&server.sslkey, "sslkey", "PGSSLKEY"),
        key_password,
        crl: path(&server.sslcrl, "sslcrl", "PGSSLCRL"),
        crl_directory: path(&server.sslcrldir, "sslcrldir", "PGSSLCRLDIR"),
    };
    let gssencmode = word(server.gssencmode, given(None, "gssencmode", "PGGSSENCMODE"), "gssencmode")?;
    if gssencmode == Some(GssEncMode::Require) {
        return Err(configuration("gssencmode=require cannot be met: checks do not support GSSAPI"));
    }

    let addresses = address::parse(
        given(server.host.clone(), "host", "PGHOST"),
        given(server.hostaddr.clone(), "hostaddr", "PGHOSTADDR"),
        given(server.port.as_ref().map(Ports::text), "port", "PGPORT"),
    )?;
    let endpoints = addresses.into_iter().map(|address| {
        let password = match (&password, &passfile) {
            (Some(password), _) => Password::Found(password.clone()),
            (None, Some(file)) => look_up(file, &address, &dbname, &user),
            (None, None) => Password::Missing,
        };
        let attempts = match &address {
            Address::Tcp { .. } => encryption::attempts(&options, environment)?,
            #[cfg(unix)]
            Address::Unix(_) => vec![Encryption::Off],
        };
        Ok(Endpoint { address, password, attempts })
    });

    let connect_timeout = given(server.connect_timeout.map(|s| s.to_string()), "connect_timeout", "PGCONNECT_TIMEOUT")
        .map(|text| text.trim().parse::<i64>())
        .transpose()
        .map_err(|_| configuration("connect_timeout must be a whole number of seconds"))?;
    let target = given(None, "target_session_attrs", "PGTARGETSESSIONATTRS");
    let balance = given(None, "load_balance_hosts", "PGLOADBALANCEHOSTS");
    let binding = given(None, "channel_binding", "PGCHANNELBINDING");
    Ok(Parameters {
        endpoints: endpoints.collect::<Result<_, CheckError>>()?,
        user,
        options: given(server.options.clone(), "options", "PGOPTIONS").unwrap_or_default(),
        application_name: given(server.application_name.clone(), "application_name", "PGAPPNAME")
            .unwrap_or_else(|| "lifesigns".to_owned()),
        // With libpq, 0 and less mean no limit.
        connect_timeout: connect_timeout
            .and_then(|s| u64::try_from(s).ok())
            .filter(|s| *s > 0)
            .map(Duration::from_secs),
        target_session_attrs: word(server.target_session_attrs, target, "target_session_attrs")?
            .unwrap_or(TargetSessionAttrs::Any),
        load_balance_hosts: word(server.load_balance_hosts, balance, "load_balance_hosts")?
            .unwrap_or(LoadBalanceHosts::Disable),
        channel_binding: word(server.channel_binding, binding, "channel_binding")?.unwrap_or(ChannelBinding::Prefer),
        dbname,
    })
}

/// An explicit word, or else that of the service or the environment, whose text is not shown: it may be anything.
fn word<T: DeserializeOwned>(
    explicit: Option<T>,
    text: Option<String>,
    parameter: &str,
) -> Result<Option<T>, CheckError> {
    match (explicit, text) {
        (Some(word), _) => Ok(Some(word)),
        (None, None) => Ok(None),
        (None, Some(text)) => match spec::parse(&text) {
            Some(word) => Ok(Some(word)),
            None => Err(configuration(&format!("{parameter} has none of the values that libpq knows"))),
        },
    }
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
    password_file::find(file, [&host, &port, dbname, user])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn tcp(host: &str, address: &str, port: u16) -> Address {
        Address::Tcp { host: host.into(), address: address.into(), port }
    }

    fn services() -> std::path::PathBuf {
        std::env::temp_dir().join(format!("lifesigns-services-{}", std::process::id()))
    }

    #[test]
    fn explicit_value_precedes_service_and_environment() {
        let file = services();
        std::fs::write(&file, "[app]\nhost=service\nuser=service\nport=5433\nsslmode=require\n").unwrap();
        let environment = Environment::fixed(|name| {
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
        let parameters = resolve(&spec, &environment).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(parameters.endpoints[0].address, tcp("explicit", "explicit", 5433));
        assert_eq!(parameters.endpoints[0].password, Password::Found(Secret::new("hidden")));
        assert!(matches!(parameters.endpoints[0].attempts[..], [Encryption::Required(_)]));
        assert_eq!((&*parameters.user, &*parameters.dbname), ("service", "environment"));
        assert_eq!(parameters.connect_timeout, Some(Duration::from_secs(7)));
        assert_eq!(parameters.application_name, "lifesigns");
        assert!(!format!("{parameters:?}").contains("hidden"));
    }

    #[test]
    fn empty_spec_is_local_server_and_own_name() {
        let parameters =
            resolve(&PostgresServer::default(), &Environment::fixed(|name| (name == "PGHOST").then(String::new)))
                .unwrap();
        assert_eq!(parameters.user, whoami::username().unwrap());
        assert_eq!(parameters.dbname, parameters.user);
        assert_eq!(parameters.connect_timeout, None);
        #[cfg(unix)]
        assert!(matches!(&parameters.endpoints[0].address, Address::Unix(path) if path.ends_with(".s.PGSQL.5432")));
    }

    #[test]
    fn explicit_empty_host_hides_environment() {
        let spec = PostgresServer { host: Some(String::new()), ..PostgresServer::default() };
        let parameters =
            resolve(&spec, &Environment::fixed(|name| (name == "PGHOST").then(|| "elsewhere".to_owned()))).unwrap();
        assert!(!parameters.endpoints[0].address.target().contains("elsewhere"));
    }

    #[test]
    fn unknown_service_is_configuration_error() {
        let spec = PostgresServer { service: Some("nowhere".into()), ..PostgresServer::default() };
        let environment = Environment::fixed(|name| (name == "PGSYSCONFDIR").then(|| "/nonexistent".to_owned()));
        assert!(matches!(resolve(&spec, &environment), Err(CheckError::Configuration(_))));
    }

    #[cfg(unix)]
    #[test]
    fn default_socket_is_localhost_in_password_file() {
        use std::os::unix::fs::PermissionsExt;
        let file = std::env::temp_dir().join(format!("lifesigns-pgpass-{}", std::process::id()));
        std::fs::write(&file, "localhost:5432:d:u:socket\n/run/pg:5432:d:u:directory\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        for (directory, expected) in [("/tmp", "socket"), ("/run/pg", "directory")] {
            let address = Address::Unix(Path::new(directory).join(".s.PGSQL.5432"));
            assert_eq!(look_up(&file, &address, "d", "u"), Password::Found(Secret::new(expected)));
        }
        std::fs::remove_file(&file).unwrap();
    }
}
