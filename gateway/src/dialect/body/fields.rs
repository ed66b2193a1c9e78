//! Forms of the gateway's own pages.

use crate::auth::secret::Secret;
use crate::dialect::DecodeError;

use super::{NOT_UTF8, is_form, percent_decoded_is_text};

/// The fields of a form, each there once, which are taken out one by one.
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// # Errors
    /// When the body is no form of UTF-8, or names a field twice.
    pub fn read(content_type: Option<&str>, body: &[u8]) -> Result<Self, DecodeError> {
        if !is_form(content_type) {
            return Err(DecodeError::MediaType);
        }
        // Percent-decoding replaces what is not UTF-8; a password must not change so.
        if !percent_decoded_is_text(body) {
            return Err(DecodeError::Malformed(NOT_UTF8.to_owned()));
        }
        let mut found: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(body) {
            if found.iter().any(|(known, _)| *known == name) {
                return Err(DecodeError::Malformed("The form has a field twice".to_owned()));
            }
            found.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(found))
    }

    /// `None` when it is not there, or empty as a browser sends what nobody filled in.
    pub fn optional(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1).filter(|value| !value.is_empty())
    }

    /// # Errors
    /// When it is missing or empty.
    pub fn text(&mut self, name: &str) -> Result<String, DecodeError> {
        self.optional(name).ok_or_else(|| missing(name))
    }

    /// What is meant without the blanks around it, which phones add.
    ///
    /// # Errors
    /// When there is nothing else.
    pub fn name(&mut self, name: &str) -> Result<String, DecodeError> {
        let text = self.text(name)?.trim().to_owned();
        Some(text).filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
    }

    /// # Errors
    /// When it is missing or empty.
    pub fn secret(&mut self, name: &str) -> Result<Secret, DecodeError> {
        self.text(name).map(Secret::new)
    }

    /// Words that are separated by blanks or commas.
    pub fn words(&mut self, name: &str) -> Vec<String> {
        let text = self.optional(name).unwrap_or_default();
        let words = text.split(|c: char| c.is_whitespace() || c == ',');
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// # Errors
    /// When there are fields that the form does not have.
    pub fn finish<T>(self, command: T) -> Result<T, DecodeError> {
        match self.0.first() {
            None => Ok(command),
            Some(_) => Err(DecodeError::Malformed("The form has a field too many".to_owned())),
        }
    }
}

fn missing(name: &str) -> DecodeError {
    DecodeError::Malformed(format!("The form's field {name} is missing"))
}
