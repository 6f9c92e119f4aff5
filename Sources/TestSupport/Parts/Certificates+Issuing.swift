// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation

extension Certificates {
    /// A certificate with properties of its own.
    package struct Leaf: Sendable {
        /// The files are `NAME.pem` and `NAME.key`.
        package var name: String
        package var commonName: String
        package var alternativeNames: String
        package var usage: String
        /// 0 or less: it has expired.
        package var days: Int

        package init(
            _ name: String, commonName: String? = nil, names: String = Certificates.serverNames,
            usage: String = "serverAuth,clientAuth", days: Int = 2
        ) {
            self.name = name
            self.commonName = commonName ?? name
            alternativeNames = names
            self.usage = usage
            self.days = days
        }
    }

    package func path(_ file: String) -> String { "\(directory)/\(file)" }

    /// Makes another authority, `NAME.pem` and `NAME.key`.
    package func makeAuthority(_ name: String, on stage: Stage) async throws {
        try await openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-keyout", path("\(name).key"), "-out", path("\(name).pem"), "-subj", "/CN=\(name)", on: stage)
    }

    /// Makes a key and its certificate.
    package func issue(_ leaf: Leaf, by authority: String = "ca", on stage: Stage) async throws {
        try await openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
            path("\(leaf.name).key"), "-out", path("\(leaf.name).csr"), "-subj", "/CN=\(leaf.commonName)", on: stage)
        let extensions = "subjectAltName=\(leaf.alternativeNames)\nextendedKeyUsage=\(leaf.usage)\n"
        try Data(extensions.utf8).write(to: URL(fileURLWithPath: path("\(leaf.name).ext")))
        try await openssl(
            "x509", "-req", "-in", path("\(leaf.name).csr"), "-CA", path("\(authority).pem"), "-CAkey",
            path("\(authority).key"), "-CAcreateserial", "-days", "\(leaf.days)", "-extfile", path("\(leaf.name).ext"),
            "-out", path("\(leaf.name).pem"), on: stage)
    }

    /// Puts the contents of `files` under a name, in one step, as a careful operator does.
    package func install(_ files: [String], as name: String) throws {
        let contents = try files.map { try Data(contentsOf: URL(fileURLWithPath: path($0))) }.reduce(Data(), +)
        try contents.write(to: URL(fileURLWithPath: path(name)), options: .atomic)
    }

    private func openssl(_ arguments: String..., on stage: Stage) async throws {
        let outcome = try await stage.run(Command("openssl", arguments))
        guard outcome.succeeded else { throw MissingPart("\(outcome)") }
    }
}
