//! Deserializes plain data, noting in each error which field it is about.

use serde::Deserializer;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::error::Error;
use super::input::Input;

impl<'de> Deserializer<'de> for &'de Input {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Input::None => visitor.visit_unit(),
            Input::Bool(flag) => visitor.visit_bool(*flag),
            Input::Int(number) => visitor.visit_i64(*number),
            Input::Unsigned(number) => visitor.visit_u64(*number),
            Input::HugeInt => Err(Error::invalid_value(Unexpected::Other("one of more than 64 bits"), &visitor)),
            // JSON, which a value of any type becomes, has no other numbers: they would silently become null.
            Input::Float(number) if !number.is_finite() => Err(Error::not_finite(*number)),
            Input::Float(number) => visitor.visit_f64(*number),
            Input::Text(text) => visitor.visit_borrowed_str(text),
            Input::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Input::Map(fields) => visitor.visit_map(Fields { fields, value: None }),
            Input::Other(name) => Err(Error::invalid_type(Unexpected::Other(name), &visitor)),
        }
    }

    /// By name only: serde would take a list as well, for the fields in their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Input::Map(fields) => visitor.visit_map(Fields { fields, value: None }),
            other => Err(Error::invalid_type(Unexpected::Other(other.type_name()), &visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Input::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            other => Err(Error::invalid_type(Unexpected::Other(other.type_name()), &visitor)),
        }
    }

    /// What has a range of its own names it, also for NaN.
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Input::Float(number) => visitor.visit_f64(*number),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Input::None => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Input::Text(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            other => Err(Error::not_a_variant(other.type_name(), variants)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct identifier ignored_any
    }
}

struct Fields<'de> {
    fields: &'de [(String, Input)],
    value: Option<(&'de str, &'de Input)>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(((name, value), rest)) = self.fields.split_first() else { return Ok(None) };
        self.fields = rest;
        self.value = Some((name, value));
        let name: StrDeserializer<'_, Error> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (name, value) = self.value.take().ok_or_else(|| Error::custom("a value without a name"))?;
        seed.deserialize(value).map_err(|error| error.in_field(name))
    }
}

struct Items<'de> {
    items: &'de [Input],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(item).map(Some).map_err(|error| error.in_item(index))
    }
}
