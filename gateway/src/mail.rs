//! Mail (SMTP, by lettre): a short queue, and a few tasks that send what is in it. Whoever asked
//! for a message does not wait for it; one that cannot be sent is tried again a few times.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Letter, Tokio1Executor};
use rustls::pki_types::CertificateDer;
use tokio::sync::{Semaphore, mpsc};

use crate::auth::error::Error;
use crate::auth::link::LinkKind;
use crate::auth::ports::{Mailer, Message};
use crate::config::{Mail, MailSecurity};
use crate::pem;
use crate::telemetry::request_scope;

/// Messages that may wait.
const QUEUE: usize = 64;
/// Messages that are being sent, or wait to be tried again.
const AT_ONCE: usize = 16;
/// Before each further try.
const RETRIES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
const TIMEOUT: Duration = Duration::from_secs(20);

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// With the request that each message is sent for, if it is for one.
pub struct MailQueue(mpsc::Sender<(Option<Arc<str>>, Message)>);

impl MailQueue {
    /// Starts the task that sends; it ends with the queue.
    ///
    /// # Errors
    /// When a name or an authority cannot be used.
    pub fn start(config: &Mail, service: &str) -> Result<Arc<Self>, String> {
        let from: Mailbox = config.from.parse().map_err(|_| "the sender is no address")?;
        let transport = transport(config)?;
        let (sender, mut waiting) = mpsc::channel::<(Option<Arc<str>>, Message)>(QUEUE);
        let sending = Arc::new(Sending { transport, from, service: service.to_owned() });
        let places = Arc::new(Semaphore::new(AT_ONCE));
        tokio::spawn(async move {
            while let Some((request_id, message)) = waiting.recv().await {
                // One that has to be tried again keeps nobody else's waiting.
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                let sending = Arc::clone(&sending);
                request_scope::spawn_for(request_id, async move {
                    sending.send(message).await;
                    drop(place);
                });
            }
        });
        Ok(Arc::new(Self(sender)))
    }
}

impl Mailer for MailQueue {
    fn send(&self, message: Message) -> Result<(), Error> {
        if message.to.is_none() {
            return Ok(());
        }
        self.0.try_send((request_scope::request_id(), message)).map_err(|_| Error::MailBusy)
    }
}

struct Sending {
    transport: Transport,
    from: Mailbox,
    service: String,
}

impl Sending {
    /// Neither the address nor the link is logged, nor what a server says of them.
    async fn send(&self, message: Message) {
        let kind = message.kind.as_str();
        let Some(letter) = letter(&self.from, &self.service, &message) else {
            tracing::warn!(kind, "mail not sent: invalid address");
            return;
        };
        let mut waits = RETRIES.iter();
        loop {
            let Err(error) = self.transport.send(letter.clone()).await else {
                tracing::info!(kind, "mail sent");
                return;
            };
            let (code, timeout) = (error.status().map(|code| code.to_string()), error.is_timeout());
            let wait = waits.next().filter(|_| !error.is_permanent());
            match wait {
                Some(wait) => {
                    tracing::warn!(kind, code, timeout, "mail not sent, will be retried");
                    tokio::time::sleep(*wait).await;
                }
                None => {
                    tracing::warn!(kind, code, timeout, "mail not sent");
                    return;
                }
            }
        }
    }
}

/// `None` for a message without a recipient.
fn letter(from: &Mailbox, service: &str, message: &Message) -> Option<Letter> {
    let to: Mailbox = message.to.as_deref()?.parse().ok()?;
    let (subject, purpose) = match message.kind {
        LinkKind::Address => ("Confirm your e-mail address", "confirms your e-mail address for"),
        LinkKind::Password | LinkKind::Both => {
            ("Set your password", "lets you choose a password for")
        }
    };
    let (account, url) = (&message.account, message.link.url.expose());
    let text = format!(
        "This link {purpose} the account {account} at {service}. It works once and expires soon:\r\n\r\n{url}\r\n\r\n\
         If this is not your account, or you did not request this message, ignore it.\r\n"
    );
    let letter = Letter::builder().from(from.clone()).to(to).subject(subject).message_id(None);
    letter.singlepart(SinglePart::plain(text)).ok()
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
    let certificates = pem::certificates(path).map_err(|error| format!("roots {error}"))?;
    let of_library = |certificate: CertificateDer<'static>| {
        Certificate::from_der(certificate.to_vec()).map_err(|_| {
            let path = path.display();
            format!(
                "roots {path} holds a certificate that is damaged: copy it again from its source"
            )
        })
    };
    certificates.into_iter().map(of_library).collect()
}
