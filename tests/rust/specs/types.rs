//! What a Rust type of a field is in Python.

use std::collections::BTreeMap;
use std::path::PathBuf;

use syn::{GenericArgument, Item, ItemEnum, PathArguments, Type};

use crate::source::{python_name, serde_attributes};

/// Rust types with a reading of their own.
const CUSTOM: &[(&str, &str)] = &[("StatusCodes", "int | str | Sequence[int | str]")];

/// Fields that are no `Secret` and are kept out of a `repr` all the same.
const HIDDEN: &[(&str, &str)] = &[("PostgresServer", "options")];

/// A type as Python writes it.
#[derive(Clone, Default)]
pub struct Annotation {
    pub text: String,
    /// Kept out of a `repr`.
    pub secret: bool,
    /// The struct in it whose class it needs.
    pub part: Option<String>,
}

pub struct Types<'a> {
    pub items: &'a BTreeMap<String, (PathBuf, Item)>,
}

impl Types<'_> {
    pub fn is_hidden(&self, class: &str, field: &str) -> bool {
        HIDDEN.contains(&(class, field))
    }

    pub fn annotation(&self, ty: &Type) -> Annotation {
        let Type::Path(path) = ty else { panic!("a field has a type that Python has not") };
        let segment = path.path.segments.last().unwrap();
        let name = segment.ident.to_string();
        let inner: Vec<Annotation> = match &segment.arguments {
            PathArguments::AngleBracketed(arguments) => arguments.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(self.annotation(ty)),
                _ => None,
            }),
            _ => return self.simple(&name),
        }
        .collect();
        let around = |prefix: &str| Annotation {
            text: format!("{prefix}[{}]", inner.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(", ")),
            secret: inner.iter().any(|part| part.secret),
            part: inner.iter().find_map(|part| part.part.clone()),
        };
        match name.as_str() {
            "Option" | "Box" | "Arc" => inner.into_iter().next().unwrap(),
            "Vec" | "BTreeSet" => around("Sequence"),
            "BTreeMap" => around("Mapping"),
            _ => panic!("{name}<...> has no reading in tests/rust/specs/types.rs"),
        }
    }

    /// A text that is kept out of a `repr`.
    pub fn secret(&self) -> Annotation {
        self.simple("Secret")
    }

    fn simple(&self, name: &str) -> Annotation {
        let plain = |text: &str| Annotation { text: text.to_owned(), ..Annotation::default() };
        match name {
            "String" => plain("str"),
            "Secret" => Annotation { secret: true, ..plain("str") },
            "bool" => plain("bool"),
            "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => plain("int"),
            "f64" | "Duration" => plain("float"),
            "PathBuf" => plain("StrPath"),
            "Value" => plain("object"),
            _ => self.other(name),
        }
    }

    fn other(&self, name: &str) -> Annotation {
        if let Some((_, text)) = CUSTOM.iter().find(|(custom, _)| *custom == name) {
            return Annotation { text: (*text).to_owned(), ..Annotation::default() };
        }
        match self.items.get(name) {
            Some((_, Item::Struct(_))) => {
                Annotation { text: python_name(name), part: Some(name.to_owned()), secret: false }
            }
            Some((_, Item::Enum(item))) if serde_attributes(&item.attrs).contains_key("untagged") => self.union(item),
            Some((_, Item::Enum(item))) => {
                let names: Vec<String> = variants(item).iter().map(|variant| format!("\"{variant}\"")).collect();
                Annotation { text: format!("Literal[{}]", names.join(", ")), ..Annotation::default() }
            }
            _ => panic!("{name} has no reading in tests/rust/specs/types.rs"),
        }
    }

    /// One of several types.
    fn union(&self, item: &ItemEnum) -> Annotation {
        let parts = item.variants.iter().flat_map(|variant| &variant.fields).map(|field| self.annotation(&field.ty));
        let mut whole = Annotation::default();
        for part in parts {
            if !whole.text.split(" | ").any(|text| text == part.text) {
                whole.text += if whole.text.is_empty() { "" } else { " | " };
                whole.text += &part.text;
            }
            whole.secret |= part.secret;
            whole.part = whole.part.or(part.part);
        }
        whole
    }
}

/// The names of an enum's variants as serde reads them.
fn variants(item: &ItemEnum) -> Vec<String> {
    let style = serde_attributes(&item.attrs).remove("rename_all").flatten();
    let names = item.variants.iter().map(|variant| {
        let name = variant.ident.to_string();
        let renamed = serde_attributes(&variant.attrs).remove("rename").flatten();
        renamed.unwrap_or_else(|| match style.as_deref() {
            None => name,
            Some("lowercase") => name.to_lowercase(),
            Some("UPPERCASE") => name.to_uppercase(),
            Some("snake_case") => separated(&name, '_'),
            Some("kebab-case") => separated(&name, '-'),
            Some(other) => panic!("rename_all = {other:?} has no reading in tests/rust/specs/types.rs"),
        })
    });
    names.collect()
}

fn separated(name: &str, separator: char) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push(separator);
        }
        text.extend(letter.to_lowercase());
    }
    text
}
