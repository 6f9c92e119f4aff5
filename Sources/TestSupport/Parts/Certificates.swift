// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation

/// A certificate authority with one server's and one client's certificate, made by openssl for one test.
package struct Certificates: Sendable {
    package let directory: String
    package var authority: String { "\(directory)/ca.pem" }
    package var serverCertificate: String { "\(directory)/server.pem" }
    package var serverKey: String { "\(directory)/server.key" }
    package var clientCertificate: String { "\(directory)/client.pem" }
    package var clientKey: String { "\(directory)/client.key" }

    /// The arguments by which a legation command shows the client's and trusts the server's.
    package var arguments: [String] {
        ["--etcd-ca", authority, "--etcd-cert", clientCertificate, "--etcd-key", clientKey]
    }

    /// The same for etcdctl and etcd-mirror.
    package var toolArguments: [String] { ["--cacert", authority, "--cert", clientCertificate, "--key", clientKey] }

    /// Whom a server answers for: itself, or as one of a cluster's members.
    package static let serverNames = "DNS:localhost,IP:127.0.0.1,IP:127.0.0.2,IP:127.0.0.3,IP:::1"

    /// The server answers for `serverNames`.
    package static func make(on stage: Stage) async throws -> Certificates {
        let certificates = Certificates(directory: try stage.directory() + "/tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(atPath: certificates.directory, withIntermediateDirectories: true)
        let outcome = try await stage.run(Command("sh", ["-euc", script, "sh", certificates.directory]))
        guard outcome.succeeded else { throw MissingPart("\(outcome)") }
        return certificates
    }

    // Elliptic curves, since an RSA key takes up to a second of a core.
    private static let script = """
        cd "$1"
        key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        openssl req -x509 $key -keyout ca.key -out ca.pem -days 2 -subj "/CN=test authority" 2>/dev/null
        leaf() {
            openssl req $key -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>/dev/null
            printf '%s\\n' "$2" "extendedKeyUsage=$3" > "$1.ext"
            openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                -extfile "$1.ext" -out "$1.pem" 2>/dev/null
        }
        leaf server "subjectAltName=\(serverNames)" serverAuth,clientAuth
        leaf client "basicConstraints=CA:FALSE" clientAuth
        """
}
