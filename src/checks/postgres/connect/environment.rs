//! What libpq reads beside the given parameters: the process's environment variables and its user's home directory.

use std::env;
use std::path::PathBuf;

/// The sources of connection parameters outside the configuration.
pub struct Environment {
    variable: fn(&str) -> Option<String>,
    home: Option<PathBuf>,
}

impl Environment {
    /// Those of this process.
    pub fn of_process() -> Self {
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
