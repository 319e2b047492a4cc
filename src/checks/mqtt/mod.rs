//! MQTT: the broker lets the application in and, where a topic is configured, hands on what is published.

mod connect;
mod errors;
mod protocol;
mod spec;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use crate::checks::Check;
use crate::model::{CheckError, Finding, Phase, SpecError};
use crate::net::{self, FrameError};
use crate::runtime::Context;
use connect::Connection;
use errors::refusal;
use protocol::Packet;
pub use spec::{MqttCheck, MqttProtocol};

#[async_trait]
impl Check for MqttCheck {
    fn validate(&self) -> Result<(), SpecError> {
        self.check_fields()
    }

    /// CONNECT as the application does, optionally one message there and back, DISCONNECT.
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let broker = self;
        let port = broker.port();
        let mut session = MqttSession {
            connection: Connection::open(context, broker, port).await?,
            received: BytesMut::new(),
            protocol: broker.protocol,
            target: net::target(&broker.host, port),
            phase: Phase::Authenticate,
        };
        let code = session.connect(broker).await?;
        let mut finding = Finding::healthy(format!("{} accepted the connection", session.target))
            .with("broker", broker.host.clone())
            .with("port", port)
            .with("connection_test", "passed")
            .with("return_code", code);
        let mut round_trip = Ok(());
        if let Some(below) = &broker.round_trip_topic {
            context.enter(Phase::Query);
            session.phase = Phase::Query;
            round_trip = session.round_trip(below).await;
            finding.message = format!("{} handed on a message", session.target);
            finding = finding.with("round_trip", "passed");
        }
        context.enter(Phase::Close);
        session.disconnect().await;
        round_trip.map(|()| finding)
    }
}

/// One connection to a broker, used for one run.
struct MqttSession {
    connection: Connection,
    received: BytesMut,
    protocol: MqttProtocol,
    target: String,
    phase: Phase,
}

impl MqttSession {
    /// The return code of a connection that was accepted, which is 0.
    ///
    /// Each run has an identifier of its own: with a fixed one the broker would disconnect the application's other
    /// processes. Some brokers refuse an empty one, for which they choose; none may refuse 23 letters and digits.
    async fn connect(&mut self, broker: &MqttCheck) -> Result<u8, CheckError> {
        let client_id = format!("lifesigns{:.14}", Uuid::new_v4().simple().to_string());
        let connect = protocol::connect(broker, &client_id).ok_or_else(unsendable)?;
        self.send(&connect).await?;
        match self.receive(protocol::decode_connack).await? {
            0 => Ok(0),
            code => Err(refusal(&self.target, code)),
        }
    }

    /// Subscribe to a topic that no other client uses, publish to it and wait for the message.
    async fn round_trip(&mut self, below: &str) -> Result<(), CheckError> {
        let name = Uuid::new_v4().to_string();
        let topic = format!("{}/{name}", below.trim_end_matches('/'));
        let subscribe = protocol::subscribe(self.protocol, &topic).ok_or_else(unsendable)?;
        self.send(&subscribe).await?;
        while self.next_step("subscribing to", &topic).await? != Some(Step::Subscribed) {}
        let publish = protocol::publish(self.protocol, &topic, &name).ok_or_else(unsendable)?;
        self.send(&publish).await?;
        while self.next_step("publishing to", &topic).await? != Some(Step::Received(name.clone().into())) {}
        Ok(())
    }

    /// The next packet, if it is a step of the round trip.
    async fn next_step(&mut self, doing: &str, topic: &str) -> Result<Option<Step>, CheckError> {
        match self.receive(protocol::decode).await? {
            Packet::Suback { accepted: true } => Ok(Some(Step::Subscribed)),
            Packet::Suback { accepted: false } | Packet::Puback { accepted: false } => {
                let reason = format!("{doing} the topic of the round trip is not allowed").into();
                Err(CheckError::Rejected { target: self.target.clone(), reason })
            }
            Packet::Publish { topic: published, payload } if published == topic => Ok(Some(Step::Received(payload))),
            Packet::Disconnect(code) => Err(refusal(&self.target, code)),
            Packet::Publish { .. } | Packet::Puback { accepted: true } | Packet::Other => Ok(None),
        }
    }

    /// Send DISCONNECT, so that the broker logs no lost client. Errors do not matter: the result is known.
    async fn disconnect(mut self) {
        if self.send(protocol::DISCONNECT).await.is_ok() {
            self.connection.close().await;
        }
    }

    async fn send(&mut self, packet: &[u8]) -> Result<(), CheckError> {
        self.connection.send(packet, self.phase).await
    }

    async fn receive<T>(&mut self, decode: Decode<T>) -> Result<T, CheckError> {
        loop {
            match decode(self.protocol, &mut self.received) {
                Ok(Some(packet)) => return Ok(packet),
                Ok(None) => {}
                Err(error) => return Err(error.of(&self.target, "MQTT")),
            }
            self.connection.receive(&mut self.received, self.phase).await?;
        }
    }
}

type Decode<T> = fn(MqttProtocol, &mut BytesMut) -> Result<Option<T>, FrameError>;

#[derive(PartialEq)]
enum Step {
    Subscribed,
    Received(Bytes),
}

/// The specification was validated, so this is never seen.
fn unsendable() -> CheckError {
    CheckError::Configuration("the MQTT user name, password or topic cannot be sent".into())
}
