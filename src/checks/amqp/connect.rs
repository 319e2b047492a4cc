//! One connection to a broker: dialled and logged in, used for one run, closed in order.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use uuid::Uuid;

use super::errors;
use super::protocol::{self, AmqpFrame};
use super::queue::{AmqpQueue, Published};
use super::spec::AmqpServer;
use crate::model::{CheckError, Phase};
use crate::net::{self, Limited, ReadBudget, Stream};
use crate::runtime::Context;

/// What a broker may send per run, in bytes: the counts of 500 queues with names of 255 bytes take less than 200 KB.
const LIMIT: usize = 1 << 20;
/// How many queues are counted at a time, each on a channel of its own.
const CHANNELS: u16 = 64;
/// How long to say goodbye at most: the result is known.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(100);

pub struct AmqpSession<'a> {
    context: &'a Context,
    stream: Limited<Stream>,
    received: BytesMut,
    /// What is sent by the next `flush`.
    sending: BytesMut,
    pub target: String,
    vhost: &'a str,
    /// Whether the broker has closed the connection in order.
    has_ended: bool,
    /// Which channels are open: the first is number 1.
    channels: Vec<bool>,
    /// The version of the server as it says it itself.
    pub version: Option<String>,
}

impl<'a> AmqpSession<'a> {
    /// Connects, logs in and opens the virtual host.
    pub async fn open(context: &'a Context, server: &'a AmqpServer) -> Result<Self, CheckError> {
        let AmqpServer { host, port, tls, vhost, .. } = server;
        let stream = net::connect(context, host, *port).await?;
        let stream = match tls {
            Some(tls) => Stream::Tls(Box::new(net::secure(context, stream, host, *port, tls).await?)),
            None => Stream::Plain(stream),
        };
        let mut session = Self {
            context,
            stream: Limited::new(stream, ReadBudget::new(LIMIT)),
            received: BytesMut::new(),
            sending: BytesMut::new(),
            target: net::target(host, *port),
            vhost,
            has_ended: false,
            channels: Vec::new(),
            version: None,
        };
        context.enter(Phase::Greeting);
        let channel_max = session.login(server).await?;
        session.channels =
            vec![false; usize::from(if channel_max == 0 { CHANNELS } else { channel_max.min(CHANNELS) })];
        context.enter(Phase::Query);
        protocol::open(&mut session.sending, vhost);
        session.flush().await?;
        match session.receive(Phase::Query).await? {
            AmqpFrame::OpenOk => Ok(session),
            frame => Err(errors::unexpected(&session.target, &frame)),
        }
    }

    /// Logs in, and returns the number of channels that the broker allows; 0 is any.
    async fn login(&mut self, server: &AmqpServer) -> Result<u16, CheckError> {
        self.sending.extend_from_slice(protocol::HEADER);
        self.flush().await?;
        let mechanisms = match self.receive(Phase::Greeting).await? {
            AmqpFrame::Start { mechanisms, version } => {
                self.version = version;
                mechanisms
            }
            frame => return Err(errors::unexpected(&self.target, &frame)),
        };
        let phase = Phase::Authenticate;
        self.context.enter(phase);
        if !mechanisms.split_ascii_whitespace().any(|offered| offered == server.login.name()) {
            return Err(self.rejected(format!("it offers no login by {}", server.login.name())));
        }
        protocol::start_ok(&mut self.sending, server.login, &server.username, server.password.expose());
        self.flush().await?;
        match self.receive(phase).await {
            Ok(AmqpFrame::Tune { channel_max, frame_max }) => {
                let largest = u32::try_from(protocol::MAX_FRAME).unwrap_or(u32::MAX);
                let frame_max = if frame_max == 0 { largest } else { frame_max.min(largest) };
                protocol::tune_ok(&mut self.sending, channel_max, frame_max);
                Ok(channel_max)
            }
            Ok(AmqpFrame::Secure) => {
                Err(self.rejected(format!("its login requires more than {}", server.login.name())))
            }
            Ok(frame) => Err(errors::unexpected(&self.target, &frame)),
            // A broker need not say why it refuses a login (AMQP 0-9-1, 2.2.4).
            Err(CheckError::Closed { target, .. }) if self.has_ended => {
                let reason = "it closed the connection at the login: wrong user name or password?".into();
                Err(CheckError::Authentication { target, reason })
            }
            Err(error) => Err(error),
        }
    }

    /// The queues as the broker knows them, in this order. None is made.
    pub async fn count(&mut self, queues: &[String]) -> Result<Vec<AmqpQueue>, CheckError> {
        let mut found = Vec::with_capacity(queues.len());
        for batch in queues.chunks(self.channels.len().max(1)) {
            for (queue, channel) in batch.iter().zip(1..) {
                self.open_channel(channel);
                protocol::declare(&mut self.sending, channel, queue);
            }
            self.flush().await?;
            let mut batch = vec![None; batch.len()];
            while batch.contains(&None) {
                let (channel, queue) = match self.receive(Phase::Query).await? {
                    AmqpFrame::ChannelOpenOk { .. } => continue,
                    AmqpFrame::DeclareOk { channel, messages, consumers } => {
                        (channel, AmqpQueue::Found { messages, consumers })
                    }
                    AmqpFrame::ChannelClose { channel, code } => {
                        self.channel_closed(channel);
                        (channel, AmqpQueue::of_code(code).ok_or_else(|| self.closed_channel(code))?)
                    }
                    frame => return Err(errors::unexpected(&self.target, &frame)),
                };
                match batch.get_mut(usize::from(channel).wrapping_sub(1)) {
                    Some(place) => *place = Some(queue),
                    None => return Err(errors::unexpected(&self.target, &AmqpFrame::Other)),
                }
            }
            found.extend(batch.into_iter().flatten());
        }
        Ok(found)
    }

    /// Publishes a message that no queue takes, which the broker returns if it takes messages at all.
    pub async fn publish(&mut self) -> Result<Published, CheckError> {
        let channel = 1;
        self.open_channel(channel);
        protocol::publish(&mut self.sending, channel, &format!("lifesigns-{}", Uuid::new_v4().simple()));
        self.flush().await?;
        loop {
            match self.receive(Phase::Query).await? {
                AmqpFrame::ChannelOpenOk { .. } => {}
                AmqpFrame::Returned { .. } => return Ok(Published::Returned),
                AmqpFrame::ChannelClose { channel, code } => {
                    self.channel_closed(channel);
                    return match AmqpQueue::of_code(code) {
                        Some(AmqpQueue::NotPermitted) => Ok(Published::NotPermitted),
                        _ => Err(self.closed_channel(code)),
                    };
                }
                frame => return Err(errors::unexpected(&self.target, &frame)),
            }
        }
    }

    /// Closes the connection in order, so that the broker logs no lost client. Errors do not matter: the result is known.
    pub async fn close(mut self) {
        self.context.enter(Phase::Close);
        protocol::close(&mut self.sending);
        let closed = async {
            self.flush().await?;
            while self.receive(Phase::Close).await? != AmqpFrame::CloseOk {}
            self.stream.shutdown().await.ok();
            Ok::<_, CheckError>(())
        };
        timeout(CLOSE_TIMEOUT, closed).await.ok();
    }

    fn open_channel(&mut self, channel: u16) {
        if let Some(is_open) = self.channels.get_mut(usize::from(channel) - 1)
            && !*is_open
        {
            *is_open = true;
            protocol::channel_open(&mut self.sending, channel);
        }
    }

    /// Notes that the broker has closed a channel; the acknowledgement goes out with what is sent next.
    fn channel_closed(&mut self, channel: u16) {
        protocol::channel_close_ok(&mut self.sending, channel);
        if let Some(is_open) = self.channels.get_mut(usize::from(channel).wrapping_sub(1)) {
            *is_open = false;
        }
    }

    async fn flush(&mut self) -> Result<(), CheckError> {
        let bytes = self.sending.split();
        let sent = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| net::io_error(&self.target, self.context.phase(), &error))
    }

    /// The next frame that means something. What ends the connection is an error, and so is that publishers are blocked.
    async fn receive(&mut self, phase: Phase) -> Result<AmqpFrame, CheckError> {
        loop {
            match protocol::decode(&mut self.received) {
                Ok(Some(AmqpFrame::Other | AmqpFrame::Unblocked)) => continue,
                Ok(Some(AmqpFrame::Blocked { reason })) => return Err(errors::blocked(&self.target, &reason)),
                Ok(Some(AmqpFrame::Close { code, text })) => {
                    protocol::close_ok(&mut self.sending);
                    self.flush().await.ok();
                    return Err(errors::refusal(&self.target, self.vhost, phase, code, &text));
                }
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(error) => return Err(error.of(&self.target, errors::PROTOCOL)),
            }
            self.received.reserve(1024);
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) => {
                    self.has_ended = true;
                    return Err(CheckError::Closed { target: self.target.clone(), phase });
                }
                Ok(_) => {}
                Err(error) => return Err(net::io_error(&self.target, phase, &error)),
            }
        }
    }

    fn rejected(&self, reason: String) -> CheckError {
        CheckError::Rejected { target: self.target.clone(), reason: reason.into() }
    }

    fn closed_channel(&self, code: u16) -> CheckError {
        self.rejected(format!("it closed the channel (reply code {code})"))
    }
}
