//! How the bytes of MQTT reach a broker: directly, encrypted, or over a WebSocket.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::spec::{MqttCheck, MqttTransport};
use crate::model::{CheckError, Phase, Secret};
use crate::net::{self, Limited, ReadBudget, Stream, WebSocket, WebSocketRequest};
use crate::runtime::Context;

/// What a broker may send per run: a CONNACK and the answers of one round trip take some hundred bytes.
const LIMIT: usize = 256 * 1024;
/// Where brokers have their WebSocket, and clients expect it.
const PATH: &str = "/mqtt";
/// The protocol's name over a WebSocket (MQTT 5, 6).
const PROTOCOL: &str = "mqtt";

pub enum Connection {
    Stream(Limited<Stream>, String),
    WebSocket(Box<WebSocket<Limited<Stream>>>),
}

impl Connection {
    /// Connects to the broker at this port.
    pub async fn open(context: &Context, broker: &MqttCheck, port: u16) -> Result<Self, CheckError> {
        let over_websocket = broker.transport == MqttTransport::Websockets;
        let target = net::target(&broker.host, port);
        let stream = net::connect(context, &broker.host, port).await?;
        let stream = match &broker.tls {
            Some(tls) => {
                let mut protocols: Vec<&[u8]> = broker.alpn.iter().map(String::as_bytes).collect();
                if protocols.is_empty() && over_websocket {
                    protocols.push(b"http/1.1");
                }
                let secured = net::secure_alpn(context, stream, &broker.host, port, tls, &protocols).await?;
                Stream::Tls(Box::new(secured))
            }
            None => Stream::Plain(stream),
        };
        let stream = Limited::new(stream, ReadBudget::new(LIMIT));
        context.enter(Phase::Authenticate);
        if !over_websocket {
            return Ok(Self::Stream(stream, target));
        }
        let default_port = if broker.tls.is_some() { 443 } else { 80 };
        let host = if port == default_port { broker.host.as_str() } else { target.as_str() };
        let path = broker.path.as_ref().map_or(PATH, Secret::expose);
        let request = WebSocketRequest { target: &target, host, path, protocol: PROTOCOL };
        let socket = WebSocket::open(stream, &request, Phase::Authenticate).await?;
        Ok(Self::WebSocket(Box::new(socket)))
    }

    pub async fn send(&mut self, packet: &[u8], phase: Phase) -> Result<(), CheckError> {
        match self {
            Self::Stream(stream, target) => {
                let sent = async {
                    stream.write_all(packet).await?;
                    stream.flush().await
                };
                sent.await.map_err(|error| net::io_error(target, phase, &error))
            }
            Self::WebSocket(socket) => socket.send(packet, phase).await,
        }
    }

    /// Appends what the broker sends next to `received`.
    pub async fn receive(&mut self, received: &mut BytesMut, phase: Phase) -> Result<(), CheckError> {
        match self {
            Self::Stream(stream, target) => {
                received.reserve(1024);
                match stream.read_buf(received).await {
                    Ok(0) => Err(CheckError::Closed { target: target.clone(), phase }),
                    Ok(_) => Ok(()),
                    Err(error) => Err(net::io_error(target, phase, &error)),
                }
            }
            Self::WebSocket(socket) => socket.receive(received, phase).await,
        }
    }

    /// Ends the connection. Errors do not matter: the result is known.
    pub async fn close(self) {
        match self {
            Self::Stream(mut stream, _) => _ = stream.shutdown().await,
            Self::WebSocket(socket) => socket.close().await,
        }
    }
}
