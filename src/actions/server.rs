//! Which server has started this process, by the command line of its parent.

use rustix::process::getppid;

/// Servers that start another worker when one has ended.
const SERVERS: [&str; 5] = ["gunicorn", "granian", "hypercorn", "uvicorn", "uwsgi"];
/// Options of the interpreter whose value is the next word.
const WITH_VALUE: [&str; 2] = ["-W", "-X"];

/// The server that is the parent of this process.
pub fn server_name() -> Option<&'static str> {
    server_of(&of_parent("cmdline")?)
}

/// Whether the parent handles SIGHUP, which ends any other process, such as a worker of gunicorn.
pub fn handles_hangup() -> bool {
    of_parent("status").is_some_and(|status| catches_hangup(&status))
}

fn of_parent(file: &str) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{}/{file}", getppid()?.as_raw_pid())).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The server that was started by that command line, whose words end with a NUL: by its own name, as a script or a
/// module of an interpreter, or as its title.
fn server_of(line: &str) -> Option<&'static str> {
    let mut words = line.split('\0');
    // A title continues behind the name.
    let program = file_name(words.next()?.split([':', ' ']).next()?);
    named(program).or_else(|| {
        let is_interpreter = program.starts_with("python") || program.starts_with("pypy");
        is_interpreter.then(|| script_of(words)).flatten()
    })
}

/// The server that an interpreter runs, by the words after its name.
fn script_of<'l>(mut words: impl Iterator<Item = &'l str>) -> Option<&'static str> {
    loop {
        match words.next()? {
            "-m" => return words.next()?.split('.').find_map(named),
            word if WITH_VALUE.contains(&word) => {
                words.next();
            }
            word if word.starts_with('-') => {}
            script => return named(file_name(script)),
        }
    }
}

fn named(word: &str) -> Option<&'static str> {
    // pyuwsgi is uWSGI from a wheel.
    let word = word.strip_prefix("py").filter(|rest| *rest == "uwsgi").unwrap_or(word);
    SERVERS.into_iter().find(|server| server.eq_ignore_ascii_case(word))
}

fn file_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// By `/proc/PID/status`: bit 0 of the signals that are caught is SIGHUP.
fn catches_hangup(status: &str) -> bool {
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_is_found_by_what_runs_and_not_by_any_word() {
        let table = [
            ("/venv/bin/python3\0/venv/bin/gunicorn\0shop.wsgi\0", Some("gunicorn")),
            ("/usr/bin/python3.12\0-u\0-X\0dev\0-m\0gunicorn\0shop.wsgi\0", Some("gunicorn")),
            ("gunicorn: master [/srv/shop]\0", Some("gunicorn")),
            ("uWSGI master\0", Some("uwsgi")),
            ("/venv/bin/python\0-m\0uvicorn\0shop.asgi:application\0--workers=2\0", Some("uvicorn")),
            ("python\0-m\0gunicorn.app.wsgiapp\0shop.wsgi\0", Some("gunicorn")),
            ("/usr/bin/uwsgi\0--ini\0uwsgi.ini\0", Some("uwsgi")),
            ("/venv/bin/python\0/venv/bin/pyuwsgi\0--ini\0x.ini\0", Some("uwsgi")),
            ("sh\0/srv/run_gunicorn.sh\0", None),
            ("bash\0-c\0gunicorn shop.wsgi\0", None),
            ("vim\0gunicorn.conf.py\0", None),
            ("python\0manage.py\0runserver\0--settings\0gunicorn\0", None),
            ("python\0/srv/gunicorn/manage.py\0shell\0", None),
            ("python\0-c\0import gunicorn\0", None),
            ("/venv/bin/python\0/venv/bin/gunicornc\0", None),
            ("tmux: server\0", None),
            ("", None),
        ];
        for (line, expected) in table {
            assert_eq!(server_of(line), expected, "{line:?}");
        }
    }

    #[test]
    fn hangup_is_the_first_of_the_signals_that_are_caught() {
        assert!(catches_hangup("Name:\tgunicorn\nSigIgn:\t0000000000000000\nSigCgt:\t000000010c017a07\n"));
        assert!(!catches_hangup("SigIgn:\t0000000000000001\nSigCgt:\t000000000801aa02\n"));
        assert!(!catches_hangup(""));
    }
}
