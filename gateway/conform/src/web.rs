//! The gateway's web interface, as a person with a browser uses it: by its links and forms.

use crate::client::{Call, percent};
use crate::fixture::{Fixture, Person};
use crate::reply::Reply;
use crate::report::{Fault, differs, untried};

/// A request that a browser makes for a window of its own.
pub fn navigation(call: Call) -> Call {
    call.field("sec-fetch-mode", "navigate")
        .field("sec-fetch-dest", "document")
        .field("sec-fetch-site", "same-origin")
}

/// A browser with somebody at it.
pub struct Visitor<'a> {
    fixture: &'a Fixture,
    /// As it sends them.
    cookies: String,
    /// What the paths of the pages begin with.
    base: String,
}

impl<'a> Visitor<'a> {
    /// Opens a protected page, is led to the sign-in, and signs in.
    pub async fn sign_in(fixture: &'a Fixture, who: &Person) -> Result<Self, Fault> {
        let led = fixture.send(navigation(Call::get(&fixture.proxied))).await?;
        let page = match led.field("location") {
            Some(page) if led.status == 303 => page.to_owned(),
            _ => return untried("nobody is led to a page that signs in"),
        };
        let shown = fixture.send(navigation(Call::get(&page))).await?;
        let text = text_of(shown.status(200)?);
        let form = text.split_once("<form ").and_then(|(_, form)| attribute(form, "action"));
        let Some(action) = form else {
            return differs(format!("GET {page}: there is no form"));
        };
        let fields = [
            ("name", who.username.as_str()),
            ("password", who.password.as_str()),
            ("return_to", fixture.proxied.as_str()),
        ];
        let signed_in = fixture.send(navigation(Call::post(&action).form(&fields))).await?;
        signed_in.status(303)?;
        let cookies: Vec<&str> =
            signed_in.fields("set-cookie").filter_map(|cookie| cookie.split(';').next()).collect();
        let base = action.rsplit_once('/').map_or("", |(base, _)| base).to_owned();
        let visitor = Self { fixture, cookies: cookies.join("; "), base };
        visitor.get(&fixture.proxied).await?.passed()?;
        Ok(visitor)
    }

    /// A page below those of the web interface.
    pub async fn open(&self, below: &str) -> Result<String, Fault> {
        let path = format!("{}{below}", self.base);
        Ok(text_of(self.get(&path).await?.status(200)?))
    }

    pub async fn get(&self, path: &str) -> Result<Reply, Fault> {
        self.fixture.send(navigation(Call::get(path)).field("cookie", &self.cookies)).await
    }

    /// Follows the link of a page that has this text.
    pub async fn follow(&self, page: &str, text: &str) -> Result<(String, String), Fault> {
        let Some(path) = link(page, text) else {
            return differs(format!("there is no link {text:?} on the page"));
        };
        let shown = self.get(&path).await?;
        let text = text_of(shown.status(200)?);
        Ok((path, text))
    }

    /// Presses the button of the page's form that has this text, with the hidden fields of
    /// the form and these.
    pub async fn press(
        &self,
        page: &str,
        button: &str,
        typed: &[(&str, &str)],
    ) -> Result<Reply, Fault> {
        let forms = page.split("<form ").skip(1).filter_map(|rest| rest.split("</form>").next());
        let mut forms = forms.filter(|form| form.contains(&format!(">{button}</button>")));
        let Some(form) = forms.next() else {
            return differs(format!("there is no button {button:?} on the page"));
        };
        let Some(action) = attribute(form, "action") else {
            return differs("the form has no action");
        };
        let mut fields: Vec<(String, String)> = form
            .split("<input ")
            .skip(1)
            .filter_map(|input| input.split('>').next())
            .filter(|input| attribute(input, "type").as_deref() == Some("hidden"))
            .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value")?)))
            .collect();
        fields.extend(typed.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let encoded: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", percent(name), percent(value)))
            .collect();
        let call = Call::post(action)
            .typed("application/x-www-form-urlencoded", encoded.join("&"))
            .field("cookie", &self.cookies);
        self.fixture.send(navigation(call)).await
    }
}

pub fn text_of(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

fn attribute(element: &str, name: &str) -> Option<String> {
    let element = element.split('>').next()?;
    let (_, rest) = element.split_once(&format!("{name}=\""))?;
    Some(unescaped(rest.split('"').next()?))
}

/// Where the link with this text leads.
fn link(page: &str, text: &str) -> Option<String> {
    let links = page.split("<a ").skip(1).filter_map(|rest| rest.split("</a>").next());
    let mut links = links.filter(|link| link.ends_with(&format!(">{text}")));
    attribute(links.next()?, "href")
}

fn unescaped(text: &str) -> String {
    text.replace("&#38;", "&").replace("&#x26;", "&").replace("&amp;", "&")
}
