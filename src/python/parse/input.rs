//! Plain data as Python gave it: a tree of limited depth.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PySequence, PyString, PyTuple,
};

/// Deeper than any specification; a dict that contains itself has no end.
const MAX_DEPTH: usize = 32;

pub enum Input {
    None,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    /// More than 64 bits.
    HugeInt,
    Float(f64),
    Text(String),
    List(Vec<Input>),
    Map(Vec<(String, Input)>),
    /// Something that is no plain data, by the name of its type.
    Other(String),
}

impl Input {
    pub fn read(data: &Bound<'_, PyAny>, what: &str) -> PyResult<Self> {
        read(data, what, MAX_DEPTH)
    }

    /// What Python calls it.
    pub fn type_name(&self) -> &str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Unsigned(_) | Self::HugeInt => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
            Self::List(_) => "list",
            Self::Map(_) => "dict",
            Self::Other(name) => name,
        }
    }
}

fn read(data: &Bound<'_, PyAny>, what: &str, depth: usize) -> PyResult<Input> {
    let wrong = |text: &str| PyValueError::new_err(format!("{what}: {text}"));
    let Some(depth) = depth.checked_sub(1) else {
        return Err(wrong(&format!("nested more than {MAX_DEPTH} levels deep, or containing itself")));
    };
    if data.is_none() {
        return Ok(Input::None);
    }
    if let Ok(flag) = data.cast::<PyBool>() {
        return Ok(Input::Bool(flag.is_true()));
    }
    if data.is_instance_of::<PyInt>() {
        let unsigned = || data.extract().map(Input::Unsigned);
        return Ok(data.extract().map(Input::Int).or_else(|_| unsigned()).unwrap_or(Input::HugeInt));
    }
    if let Ok(number) = data.cast::<PyFloat>() {
        return Ok(Input::Float(number.value()));
    }
    if data.is_instance_of::<PyString>() {
        return data.extract().map(Input::Text).map_err(|_| wrong("a str in it is not valid Unicode"));
    }
    let entry = |key: Bound<'_, PyAny>, value: Bound<'_, PyAny>| {
        let name = key.extract::<String>().map_err(|_| wrong("the names of its fields must be of type str"))?;
        Ok((name, read(&value, what, depth)?))
    };
    if let Ok(dict) = data.cast::<PyDict>() {
        return dict.iter().map(|(key, value)| entry(key, value)).collect::<PyResult<_>>().map(Input::Map);
    }
    if let Ok(list) = data.cast::<PyList>() {
        return list.iter().map(|item| read(&item, what, depth)).collect::<PyResult<_>>().map(Input::List);
    }
    if let Ok(tuple) = data.cast::<PyTuple>() {
        return tuple.iter().map(|item| read(&item, what, depth)).collect::<PyResult<_>>().map(Input::List);
    }
    if let Ok(path) = data.call_method0("__fspath__") {
        return Ok(path.extract().map_or_else(|_| Input::Other("bytes".to_owned()), Input::Text));
    }
    if data.is_instance_of::<PyBytes>() || data.is_instance_of::<PyByteArray>() {
        return Ok(Input::Other(data.get_type().name()?.to_string()));
    }
    if let Ok(mapping) = data.cast::<PyMapping>() {
        let items = mapping.items()?;
        let pairs = items.iter().map(|pair| pair.extract().and_then(|(key, value)| entry(key, value)));
        return pairs.collect::<PyResult<_>>().map(Input::Map);
    }
    if let Ok(sequence) = data.cast::<PySequence>() {
        let items = sequence.to_list()?;
        return items.iter().map(|item| read(&item, what, depth)).collect::<PyResult<_>>().map(Input::List);
    }
    Ok(Input::Other(data.get_type().name()?.to_string()))
}
