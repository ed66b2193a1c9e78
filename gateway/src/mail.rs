//! Mail (SMTP, by lettre): a short queue and one task that sends what is in it. Whoever asked
//! for a message does not wait for it; one that cannot be sent is tried again a few times.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Letter, Tokio1Executor};
use tokio::sync::mpsc;

use crate::auth::error::Error;
use crate::auth::link::LinkKind;
use crate::auth::ports::{Mailer, Message};
use crate::config::{Mail, MailSecurity};

/// Messages that may wait.
const QUEUE: usize = 64;
/// Before each further try.
const RETRIES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
const TIMEOUT: Duration = Duration::from_secs(20);

type Transport = AsyncSmtpTransport<Tokio1Executor>;

pub struct MailQueue(mpsc::Sender<Message>);

impl MailQueue {
    /// Starts the task that sends; it ends with the queue.
    ///
    /// # Errors
    /// When a name or an authority cannot be used.
    pub fn start(config: &Mail, service: &str) -> Result<Arc<Self>, String> {
        let from: Mailbox = config.from.parse().map_err(|_| "the sender is no address")?;
        let transport = transport(config)?;
        let (sender, mut waiting) = mpsc::channel::<Message>(QUEUE);
        let service = service.to_owned();
        tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                send(&transport, &from, &service, message).await;
            }
        });
        Ok(Arc::new(Self(sender)))
    }
}

impl Mailer for MailQueue {
    fn send(&self, message: Message) -> Result<(), Error> {
        self.0.try_send(message).map_err(|_| Error::MailBusy)
    }
}

/// Neither the address nor the link is logged.
async fn send(transport: &Transport, from: &Mailbox, service: &str, message: Message) {
    let kind = message.kind.as_str();
    let Some(letter) = letter(from, service, &message) else { return };
    let mut waits = RETRIES.iter();
    loop {
        match transport.send(letter.clone()).await {
            Ok(_) => return tracing::info!(kind, "mail sent"),
            Err(error) if error.is_permanent() => {
                return tracing::warn!(kind, %error, "mail refused by the server");
            }
            Err(error) => match waits.next() {
                Some(wait) => {
                    tracing::warn!(kind, %error, "mail not sent, to be tried again");
                    tokio::time::sleep(*wait).await;
                }
                None => return tracing::warn!(kind, %error, "mail not sent"),
            },
        }
    }
}

/// `None` for a message that nobody gets.
fn letter(from: &Mailbox, service: &str, message: &Message) -> Option<Letter> {
    let to: Mailbox = message.to.as_deref()?.parse().ok()?;
    let (subject, purpose) = match message.kind {
        LinkKind::Address => ("Confirm your e-mail address", "confirms your e-mail address"),
        LinkKind::Password | LinkKind::Both => ("Set your password", "lets you choose a password"),
    };
    let url = message.link.url.expose();
    let text = format!(
        "This link {purpose} at {service}. It is good once, and not for long:\r\n\r\n{url}\r\n\r\n\
         If you did not ask for it, do nothing; nobody can use it without this message.\r\n"
    );
    Letter::builder().from(from.clone()).to(to).subject(subject).body(text).ok()
}

fn transport(config: &Mail) -> Result<Transport, String> {
    let builder = Transport::builder_dangerous(&config.host).port(config.port);
    let builder = builder.timeout(Some(TIMEOUT)).tls(match config.security {
        MailSecurity::Clear => Tls::None,
        MailSecurity::StartTls => Tls::Required(verified(config)?),
        MailSecurity::Tls => Tls::Wrapper(verified(config)?),
    });
    let credentials = config.username.as_ref().zip(config.password.as_ref());
    Ok(match credentials {
        Some((user, password)) => {
            let password = password.expose().to_owned();
            builder.credentials(Credentials::new(user.clone(), password)).build()
        }
        None => builder.build(),
    })
}

fn verified(config: &Mail) -> Result<TlsParameters, String> {
    let builder = TlsParameters::builder(config.host.clone());
    let builder = match &config.roots {
        Some(path) => authorities(path)?.into_iter().fold(
            builder.certificate_store(CertificateStore::None),
            lettre::transport::smtp::client::TlsParametersBuilder::add_root_certificate,
        ),
        None => builder,
    };
    builder.build_rustls().map_err(|error| error.to_string())
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, String> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let file = |error: String| format!("roots {}: {error}", path.display());
    CertificateDer::pem_file_iter(path)
        .map_err(|error| file(error.to_string()))?
        .map(|certificate| {
            let certificate = certificate.map_err(|error| file(error.to_string()))?;
            Certificate::from_der(certificate.to_vec()).map_err(|error| file(error.to_string()))
        })
        .collect()
}
