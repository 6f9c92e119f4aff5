// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import NIOCore
internal import NIOSSL

/// Tells why TLS failed, in words that say what to mend: grpc-swift only knows that the channel was closed.
///
/// Stands right behind the TLS handler.
final class TLSWitness: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let showsCertificate: Bool
    private let onFailure: @Sendable (String) -> Void
    /// Whether anything of the server's has come through TLS.
    private var hasHeard = false

    /// - Parameter showsCertificate: whether we have a certificate to show.
    init(showsCertificate: Bool, onFailure: @escaping @Sendable (String) -> Void) {
        self.showsCertificate = showsCertificate
        self.onFailure = onFailure
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        hasHeard = true
        context.fireChannelRead(data)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let handler = try? context.pipeline.syncOperations.handler(type: NIOSSLClientHandler.self)
        if let reason = reason(error, server: handler?.peerCertificate) { onFailure(reason) }
        context.fireErrorCaught(error)
    }

    private static let handshakeEnded = "the server ended the handshake; does it speak TLS?"

    private func reason(_ error: any Error, server: NIOSSLCertificate?) -> String? {
        let text = "\(error)"
        switch error {
        // How a server that is gone looks.
        case NIOSSLError.uncleanShutdown: return nil
        // A server that closes before it has read all of our hello resets the connection: etcd without TLS may.
        case is IOError: return hasHeard ? nil : Self.handshakeEnded
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            return "the server's certificate is for another name or address"
        case is NIOSSLExtraError, is NIOSSLError, is BoringSSLError:
            if text.contains("CERTIFICATE_VERIFY_FAILED") { return Self.complaint(about: server) }
            if text.contains("WRONG_VERSION_NUMBER") { return "the server does not speak TLS" }
            if text.contains("EOF during handshake") { return Self.handshakeEnded }
            guard text.contains("_ALERT_") else { return "TLS failed: \(text)" }
            // BoringSSL writes an alert that has come as `TLSV1_ALERT_CERTIFICATE_REQUIRED`.
            let words = text.split { !$0.isUppercase && !$0.isNumber && $0 != "_" }
            let alert = words.first { $0.contains("_ALERT_") }.map(String.init) ?? "alert"
            guard alert.contains("CERTIFICATE") || alert.contains("UNKNOWN_CA") else { return "TLS failed: \(alert)" }
            return showsCertificate
                ? "the server refuses our certificate: expired, of an authority that it does not trust, or not for clients"
                    + " (\(alert))"
                : "the server wants a certificate of ours (\(alert))"
        default: return nil
        }
    }

    private static func complaint(about certificate: NIOSSLCertificate?) -> String {
        let now = WallClock.seconds
        if let certificate, certificate.notValidAfter < now { return "the server's certificate has expired" }
        if let certificate, certificate.notValidBefore > now { return "the server's certificate is not valid yet" }
        return "the server's certificate is of an authority that is not trusted here"
    }
}
