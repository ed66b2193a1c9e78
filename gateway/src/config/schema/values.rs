//! The types of values that tables have. What else is known of a value (its range, its
//! words, its pattern) is taken from the reader of its key.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A length of time, or `"off"` where the reader takes it.
pub struct Length;

/// A number of bytes, or `"unlimited"` where the reader takes it.
pub struct Size;

/// `true`, `false` or a word.
pub struct BooleanOrWord;

/// A word or a table.
pub struct WordOrTable<T>(std::marker::PhantomData<T>);

fn text_or_number() -> Schema {
    json_schema!({ "type": ["string", "integer"] })
}

impl JsonSchema for Length {
    fn schema_name() -> Cow<'static, str> {
        "Length".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_or_number()
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_or_number()
    }
}

impl JsonSchema for BooleanOrWord {
    fn schema_name() -> Cow<'static, str> {
        "BooleanOrWord".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "string"] })
    }
}

impl<T: JsonSchema> JsonSchema for WordOrTable<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("WordOr{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [{ "type": "string" }, table] })
    }
}
