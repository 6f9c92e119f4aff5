// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import FoundationEssentials
internal import NIOCore
internal import NIOSSL
internal import Synchronization

/// The client's side of TLS, from files that may be replaced at any time.
///
/// What was read last and was good stays in use while the files are not: half of a rotation (a new certificate beside the
/// old key) must not cost the connection.
///
/// ## Concurrency
/// The last good context is under a mutex; files are read outside it.
final class TLSFiles: Sendable {
    private struct Contents: Equatable {
        var authorities: [UInt8]?
        var certificate: [UInt8]?
        var key: [UInt8]?
    }

    private struct State {
        var secured: Secured?
        var used: Contents?
        /// Told once for the same contents.
        var complained: Contents?
    }

    /// What a connection's TLS is made of.
    struct Secured: Sendable {
        let context: NIOSSLContext
        /// Grows with each change of the files.
        let generation: Int

        /// - Parameter host: as in the endpoint; the peer's certificate must carry it.
        func makeHandler(host: String) throws -> NIOSSLClientHandler {
            // A literal is no server name (RFC 6066); NIOSSL then checks the certificate's IP entries against the peer.
            let hostname = (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
            return try NIOSSLClientHandler(context: context, serverHostname: hostname)
        }
    }

    enum Look {
        case unchanged
        case changed
        /// What is there now cannot be used; what was read before stays in use.
        case broken(EtcdError)
    }

    private let tls: EtcdTLS
    private let state = Mutex(State())

    init(_ tls: EtcdTLS) { self.tls = tls }

    /// What new connections are made of, from the files as they are.
    /// - Throws: `.configuration` when the files cannot be used and never could.
    func secured() throws(EtcdError) -> Secured {
        // What is broken by now is told by those who look for it.
        let look = lookAgain(isTold: false)
        if let secured = state.withLock({ $0.secured }) { return secured }
        guard case .broken(let error) = look else { preconditionFailure("files were read and made no context") }
        throw error
    }

    /// Reads the files. - Returns: what is new; the same broken files are told once.
    /// - Parameter isTold: whether the caller says what is broken.
    func lookAgain(isTold: Bool = true) -> Look {
        do {
            let contents = try read()
            let isSame = state.withLock { state in
                guard state.used == contents else { return false }
                state.complained = nil
                return true
            }
            if isSame { return .unchanged }
            do {
                let context = try Self.makeContext(contents)
                return state.withLock { state in
                    let isFirst = state.secured == nil
                    state.secured = Secured(context: context, generation: (state.secured?.generation ?? 0) + 1)
                    state.used = contents
                    state.complained = nil
                    return isFirst ? .unchanged : .changed
                }
            } catch {
                return broken(error, contents, isTold: isTold)
            }
        } catch {
            return broken(error, Contents(), isTold: isTold)
        }
    }

    private func broken(_ error: any Error, _ contents: Contents, isTold: Bool) -> Look {
        let isToldAlready = state.withLock { state in
            defer { if isTold { state.complained = contents } }
            return state.complained == contents && state.secured != nil
        }
        if isToldAlready { return .unchanged }
        let message =
            "TLS files cannot be used (CA \(tls.caFile ?? "system"), certificate \(tls.certificateFile ?? "none"),"
            + " key \(tls.privateKeyFile ?? "none")): \(error)"
        return .broken(EtcdError(.configuration, message, cause: error))
    }

    private func read() throws -> Contents {
        Contents(
            authorities: try bytes(of: tls.caFile), certificate: try bytes(of: tls.certificateFile),
            key: try bytes(of: tls.privateKeyFile))
    }

    private func bytes(of path: String?) throws -> [UInt8]? {
        guard let path else { return nil }
        return try Array(Data(contentsOf: URL(filePath: path)))
    }

    /// BoringSSL refuses a key that is not the certificate's.
    private static func makeContext(_ contents: Contents) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["h2"]
        if let authorities = contents.authorities {
            configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(authorities))
        }
        if let certificate = contents.certificate, let key = contents.key {
            let chain = try NIOSSLCertificate.fromPEMBytes(certificate)
            configuration.certificateChain = chain.map { .certificate($0) }
            configuration.privateKey = try .privateKey(NIOSSLPrivateKey(bytes: key, format: .pem))
        }
        return try NIOSSLContext(configuration: configuration)
    }

    /// Of what was read last and was good; 0 before.
    var generation: Int { state.withLock { $0.secured?.generation ?? 0 } }
}
