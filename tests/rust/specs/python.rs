//! Classes as the files of the Python package, formatted as `ruff format` leaves them.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Class, Field};

const WIDTH: usize = 120;

const PACKAGE: &str = "What the engine can check natively, as immutable values: one class for each kind.

Every class is keyword-only. A field left at `None` is left to the engine's default. Percentages run from 0 to 100,
times are in seconds unless the name says otherwise. Secrets are never part of a `repr`. Wrong values are found by
`Engine.register`, which raises `ValueError`.";

const GENERATED: &str =
    "# Generated from src by tests/rust/specs, which compares it; write doc comments and fields there.\n";

/// What each file is for.
const MODULES: &[(&str, &str)] = &[
    ("host", "What is checked of the host, and of its processes."),
    ("network", "What is checked over the network, PostgreSQL apart."),
    ("postgres", "What is checked of a PostgreSQL server."),
    ("rules", "By which rules a check's result is judged, and a failing dependency left alone."),
    ("tasks", "What is checked of a task queue: its tables in PostgreSQL, or its broker."),
    ("tls", "How a server is trusted."),
];

/// Classes that have methods beside their fields, and the module and class that these are inherited from.
const BASES: &[(&str, (&str, &str))] = &[("PostgresServer", ("postgres_url", "FromUrl"))];

/// The files by name.
pub fn render(classes: &[Class]) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> =
        MODULES.iter().map(|(name, purpose)| (format!("{name}.py"), module(name, purpose, classes))).collect();
    files.push(("__init__.py".to_owned(), package(classes)));
    files
}

fn module(name: &str, purpose: &str, classes: &[Class]) -> String {
    // Parts before what they are part of.
    let mut own: Vec<&Class> = classes.iter().filter(|class| class.module == name).collect();
    own.sort_by_key(|class| class.kind.is_some());
    let fields = || own.iter().flat_map(|class| &class.fields);
    let mentions = |word: &str| fields().any(|field| field.annotation.text.contains(word));
    let listed = |words: &[(&str, bool)]| {
        let used: Vec<&str> = words.iter().filter(|(_, used)| *used).map(|(word, _)| *word).collect();
        used.join(", ")
    };
    let is_spec = own.iter().any(|class| class.kind.is_some());
    let has_value = own.iter().any(|class| class.kind.is_none());

    let mut text = format!("\"\"\"{purpose}\"\"\"\n\n{GENERATED}\nfrom __future__ import annotations\n\n");
    let mut import = |module: &str, names: String| {
        if !names.is_empty() {
            text += &format!("from {module} import {names}\n");
        }
    };
    import("collections.abc", listed(&[("Mapping", mentions("Mapping")), ("Sequence", mentions("Sequence"))]));
    let has_secret = fields().any(|field| field.annotation.secret);
    import("dataclasses", listed(&[("dataclass", true), ("field", has_secret)]));
    import("typing", listed(&[("ClassVar", is_spec), ("Literal", mentions("Literal["))]));
    text.push('\n');
    let mut others: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (word, used) in [("Spec", is_spec), ("StrPath", mentions("StrPath")), ("Value", has_value)] {
        if used {
            others.entry("base").or_default().insert(word);
        }
    }
    for class in classes.iter().filter(|class| class.module != name && class.kind.is_none()) {
        let words =
            |field: &Field| field.annotation.text.split(|c: char| !c.is_alphanumeric()).any(|w| w == class.name);
        if fields().any(words) {
            others.entry(class.module).or_default().insert(&class.name);
        }
    }
    for class in &own {
        if let Some((module, base)) = base(&class.name) {
            others.entry(module).or_default().insert(base);
        }
    }
    for (module, names) in others {
        let names: Vec<&str> = names.into_iter().collect();
        text += &format!("from lifesigns.specs.{module} import {}\n", names.join(", "));
    }
    for class in own {
        text += &definition(class);
    }
    text
}

fn base(class: &str) -> Option<(&'static str, &'static str)> {
    BASES.iter().find(|(name, _)| *name == class).map(|(_, base)| *base)
}

fn definition(class: &Class) -> String {
    let parent = if class.kind.is_some() { "Spec" } else { "Value" };
    let parents = base(&class.name).map_or(parent.to_owned(), |(_, base)| format!("{base}, {parent}"));
    let mut text = format!(
        "\n\n@dataclass(frozen=True, kw_only=True, slots=True)\nclass {}({parents}):\n{}",
        class.name,
        docstring(&class.doc)
    );
    if class.kind.is_some() || !class.fields.is_empty() {
        text.push('\n');
    }
    if let Some(kind) = &class.kind {
        text += &format!("    kind: ClassVar[str] = \"{kind}\"\n");
    }
    for field in &class.fields {
        text += &member(field);
    }
    text
}

fn member(Field { name, doc, annotation, optional }: &Field) -> String {
    let kind = &annotation.text;
    let mut text = match (optional, annotation.secret) {
        (false, false) => format!("    {name}: {kind}\n"),
        (false, true) => format!("    {name}: {kind} = field(repr=False)\n"),
        (true, false) => {
            let line = format!("    {name}: {kind} | None = None\n");
            if line.len() <= WIDTH + 1 { line } else { format!("    {name}: {kind} | None = (\n        None\n    )\n") }
        }
        (true, true) => format!("    {name}: {kind} | None = field(default=None, repr=False)\n"),
    };
    if !doc.is_empty() {
        text += &docstring(doc);
    }
    text
}

/// An indented string of paragraphs.
fn docstring(paragraphs: &[String]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in paragraphs {
        let paragraph = paragraph.replace('\\', "\\\\").replace("\"\"\"", "'''");
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let mut line = String::from(if lines.is_empty() { "    \"\"\"" } else { "   " });
        for word in paragraph.split(' ') {
            let is_first = line.ends_with("\"\"\"") && line.trim() == "\"\"\"";
            // Room for the closing quotes.
            if line.len() + 1 + word.len() + 3 > WIDTH {
                lines.push(std::mem::replace(&mut line, String::from("   ")));
            }
            if !is_first {
                line.push(' ');
            }
            line += word;
        }
        lines.push(line);
    }
    let closing = if paragraphs.len() > 1 { "\n    \"\"\"\n" } else { "\"\"\"\n" };
    lines.join("\n") + closing
}

fn package(classes: &[Class]) -> String {
    let mut homes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::from([("base", BTreeSet::from(["Spec", "Value"]))]);
    for class in classes {
        homes.entry(class.module).or_default().insert(&class.name);
    }
    let imports: String = homes
        .iter()
        .flat_map(|(module, names)| {
            names.iter().map(move |name| format!("    from lifesigns.specs.{module} import {name} as {name}\n"))
        })
        .collect();
    let table: String = homes
        .iter()
        .map(|(module, names)| {
            let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
            let comma = if quoted.len() == 1 { "," } else { "" };
            let line = format!("    \"{module}\": ({}{comma}),\n", quoted.join(", "));
            if line.len() <= WIDTH + 1 {
                return line;
            }
            let lines: String = quoted.iter().map(|name| format!("        {name},\n")).collect();
            format!("    \"{module}\": (\n{lines}    ),\n")
        })
        .collect();
    format!(
        "\"\"\"{PACKAGE}\n\"\"\"\n\n{GENERATED}\nTYPE_CHECKING = False\nif TYPE_CHECKING:\n{imports}\n\
         # Loaded when first used: all of them together take 12 ms, more than everything else of this package.\n\
         _HOME = {{\n{table}}}\n{REST}"
    )
}

const REST: &str = r#"__all__ = [name for names in _HOME.values() for name in names]


def __getattr__(name: str) -> object:
    for module, names in _HOME.items():
        if name in names:
            from importlib import import_module

            found: object = getattr(import_module(f"{__name__}.{module}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
"#;
