//! The structs of the checks as they stand in `src`: names, documentation, fields.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Fields, Item, ItemStruct, Lit, Meta, Token};

use crate::types::{Annotation, Types};

/// One class of the Python package.
pub struct Class {
    pub name: String,
    /// The file of the package, without `.py`.
    pub module: &'static str,
    /// `None`: part of a specification.
    pub kind: Option<String>,
    pub doc: Vec<String>,
    pub fields: Vec<Field>,
}

pub struct Field {
    pub name: String,
    pub doc: Vec<String>,
    pub annotation: Annotation,
    /// Left to the engine where it is `None`.
    pub optional: bool,
}

/// All structs and enums of the modules that checks are made of.
pub struct Source {
    items: BTreeMap<String, (PathBuf, Item)>,
    /// Kind and name of the struct, in the order of the registry.
    registry: Vec<(String, String)>,
}

impl Source {
    pub fn read(src: &Path) -> Self {
        let mut files = Vec::new();
        ["checks", "model", "net"].iter().for_each(|folder| rust_files(&src.join(folder), &mut files));
        let mut items = BTreeMap::new();
        let mut registry = Vec::new();
        for path in files {
            let text = fs::read_to_string(&path).unwrap();
            let relative = path.strip_prefix(src).unwrap().to_path_buf();
            if relative == Path::new("checks/mod.rs") {
                registry = registered(&text);
            }
            let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            for item in file.items {
                let name = match &item {
                    Item::Struct(item) => item.ident.to_string(),
                    Item::Enum(item) => item.ident.to_string(),
                    _ => continue,
                };
                items.insert(name, (relative.clone(), item));
            }
        }
        assert!(!registry.is_empty(), "the registry of src/checks/mod.rs was not found");
        Self { items, registry }
    }

    /// The class of every kind, and of every struct that is part of one.
    pub fn classes(&self) -> Vec<Class> {
        let mut classes: Vec<Class> =
            self.registry.iter().map(|(kind, name)| self.class(name, Some(kind.clone()))).collect();
        classes.push(self.class("BreakerOptions", None));
        let mut next = 0;
        while let Some(class) = classes.get(next) {
            let parts: Vec<String> = class.fields.iter().filter_map(|field| field.annotation.part.clone()).collect();
            for part in parts {
                if classes.iter().all(|class| class.name != python_name(&part)) {
                    classes.push(self.class(&part, None));
                }
            }
            next += 1;
        }
        classes
    }

    fn structure(&self, name: &str) -> (&Path, &ItemStruct) {
        match self.items.get(name) {
            Some((path, Item::Struct(item))) => (path, item),
            _ => panic!("no struct {name} in src/checks, src/model and src/net"),
        }
    }

    fn class(&self, name: &str, kind: Option<String>) -> Class {
        let (path, item) = self.structure(name);
        let attributes = serde_attributes(&item.attrs);
        // What is converted from another struct takes the fields of that.
        let taken = match attributes.get("try_from") {
            Some(Some(other)) => self.structure(other).1,
            _ => item,
        };
        let all_optional = serde_attributes(&taken.attrs).contains_key("default");
        let Fields::Named(fields) = &taken.fields else { panic!("{name} has no named fields") };
        let types = Types { items: &self.items };
        let fields = fields.named.iter().flat_map(|field| {
            let attributes = serde_attributes(&field.attrs);
            let ident = field.ident.as_ref().unwrap().to_string();
            let mut annotation = types.annotation(&field.ty);
            annotation.secret |= types.is_hidden(name, &ident);
            // A second name of a field takes its value in another form: a URL.
            let alias = attributes.get("alias").map(|alias| Field {
                doc: vec![format!("A URL, in place of `{ident}`.")],
                optional: true,
                annotation: types.secret(),
                name: alias.clone().unwrap(),
            });
            let own = Field {
                doc: documentation(&field.attrs),
                optional: all_optional || attributes.contains_key("default") || alias.is_some(),
                annotation,
                name: ident,
            };
            [Some(own), alias].into_iter().flatten()
        });
        let doc = documentation(&item.attrs);
        assert!(!doc.is_empty(), "{name} has no documentation: its first sentence says what a user gets");
        Class { name: python_name(name), module: module(name, path), kind, doc, fields: fields.collect() }
    }
}

/// The name of a struct in Python.
pub fn python_name(name: &str) -> String {
    let short = name.strip_suffix("Check").or_else(|| name.strip_suffix("Options")).unwrap_or(name);
    short.replace("OpenAi", "OpenAI")
}

/// The file of the Python package in which a struct has its class.
fn module(name: &str, path: &Path) -> &'static str {
    let path = path.to_string_lossy().replace('\\', "/");
    match path.as_str() {
        _ if name.contains("Task") => "tasks",
        path if path.starts_with("checks/postgres") => "postgres",
        path if path.starts_with("net/tls") => "tls",
        "checks/thresholds.rs" | "model/breaker_options.rs" => "rules",
        "checks/heartbeat.rs" | "checks/skipped.rs" | "checks/command/mod.rs" => "host",
        path if path.starts_with("checks/system") || path.starts_with("checks/filesystem") => "host",
        _ => "network",
    }
}

/// The lines `"kind" => path::Struct,` of the macro call `registry! { ... }`.
fn registered(text: &str) -> Vec<(String, String)> {
    let (_, call) = text.rsplit_once("registry! {").unwrap();
    let lines = call.split_once("\n}").unwrap().0.lines();
    let entries = lines.filter_map(|line| {
        let (kind, check) = line.trim().trim_end_matches(',').split_once(" => ")?;
        Some((kind.trim_matches('"').to_owned(), check.trim_end_matches(')').rsplit("::").next()?.to_owned()))
    });
    entries.collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The paragraphs of a documentation comment.
fn documentation(attributes: &[Attribute]) -> Vec<String> {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => literal(&meta.value),
        _ => None,
    });
    let text: Vec<String> = lines.map(|line| line.trim().to_owned()).collect();
    let paragraphs = text.join("\n");
    paragraphs.split("\n\n").map(|part| part.replace('\n', " ")).filter(|part| !part.is_empty()).collect()
}

/// What `#[serde(...)]` says: each word with its value, if it has one.
pub fn serde_attributes(attributes: &[Attribute]) -> BTreeMap<String, Option<String>> {
    let lists = attributes.iter().filter(|attribute| attribute.path().is_ident("serde"));
    let metas = lists.flat_map(|attribute| {
        attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).expect("serde's own words")
    });
    metas
        .map(|meta| {
            let name = meta.path().get_ident().map(ToString::to_string).unwrap_or_default();
            (name, meta.require_name_value().ok().and_then(|meta| literal(&meta.value)))
        })
        .collect()
}

fn literal(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}
