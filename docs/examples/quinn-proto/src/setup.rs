//! Configurations of QUIC and TLS in which nothing is left to a default that draws, or that asks
//! a clock.

use crate::entropy::{Dice, Names, connection_name, provider};
use meshos_sim::prelude::*;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{ClientConfig, EndpointConfig, ServerConfig, TimeSource, TransportConfig};
use ring::{hkdf, hmac};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::time_provider::TimeProvider;
use std::sync::Arc;
use std::time::SystemTime;

/// Of an endpoint: its keys for resets outlive a crash, so that others hear soon of it.
pub fn endpoint(node: NodeIndex, dice: &mut Dice) -> EndpointConfig {
    let reset_key = hmac::Key::new(hmac::HMAC_SHA256, &node.0.to_le_bytes());
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    config.rng_seed(Some(dice.array()));
    config.cid_generator(|| Box::new(Names));
    config
}

pub fn server() -> ServerConfig {
    let chain = vec![certificate()];
    let key = PrivatePkcs8KeyDer::from(KEY.to_vec()).into();
    let tls = rustls::ServerConfig::builder_with_details(Arc::new(provider()), Arc::new(Fixed))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("key and certificate belong together");
    let tls = QuicServerConfig::try_from(tls).expect("it has the suite of first packets");
    let token_key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(b"tokens");
    let mut config = ServerConfig::new(Arc::new(tls), Arc::new(token_key));
    config.time_source(Arc::new(Fixed));
    config.transport_config(transport());
    config
}

pub fn client() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate()).expect("a certificate");
    let tls = rustls::ClientConfig::builder_with_details(Arc::new(provider()), Arc::new(Fixed))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = QuicClientConfig::try_from(tls).expect("it has the suite of first packets");
    let mut config = ClientConfig::new(Arc::new(tls));
    config.initial_dst_cid_provider(Arc::new(connection_name));
    config.transport_config(transport());
    config
}

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    let idle = IDLE.try_into().expect("a time that QUIC can say");
    transport.max_idle_timeout(Some(idle));
    transport.keep_alive_interval(Some(IDLE / 4));
    Arc::new(transport)
}

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from(&include_bytes!("../tls/certificate.der")[..])
}

/// Time of day for certificates and tokens.
#[derive(Copy, Clone, Debug)]
struct Fixed;

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(TODAY))
    }
}

impl TimeSource for Fixed {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + TODAY
    }
}

/// When nothing was heard for so long, a connection is lost.
pub const IDLE: Duration = Duration::from_secs(2);
const TODAY: Duration = Duration::from_secs(1_900_000_000);

/// The Ed25519 key of 32 sevens, which the certificate is made with and for.
const KEY: [u8; 48] = {
    let mut key = [7; 48];
    let head = [
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    let mut at = 0;
    while at < head.len() {
        key[at] = head[at];
        at += 1;
    }
    key
};
