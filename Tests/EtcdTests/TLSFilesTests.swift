// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import TestSupport
import Testing

@testable import Etcd

@Suite struct TLSFilesTests {
    /// Two pairs of certificate and key of one authority, and files that a client was told of.
    private struct Files {
        let folder: String
        var tls: EtcdTLS {
            EtcdTLS(
                caFile: "\(folder)/ca.pem", certificateFile: "\(folder)/used.pem", privateKeyFile: "\(folder)/used.key")
        }

        func use(certificate: String, key: String) throws {
            try Data(contentsOf: URL(filePath: "\(folder)/\(certificate).pem"))
                .write(to: URL(filePath: "\(folder)/used.pem"), options: .atomic)
            try Data(contentsOf: URL(filePath: "\(folder)/\(key).key"))
                .write(to: URL(filePath: "\(folder)/used.key"), options: .atomic)
        }
    }

    private func withFiles(_ body: (Files) throws -> Void) async throws {
        try await withStage { stage in
            let certificates = try await Certificates.make(on: stage)
            let files = Files(folder: certificates.directory)
            try files.use(certificate: "client", key: "client")
            try body(files)
        }
    }

    private func isBroken(_ look: TLSFiles.Look) -> Bool { if case .broken = look { true } else { false } }
    private func isChanged(_ look: TLSFiles.Look) -> Bool { if case .changed = look { true } else { false } }

    @Test func theSameFilesGiveTheSameContext() async throws {
        try await withFiles { files in
            let tls = TLSFiles(files.tls)
            let first = try tls.secured().context
            #expect(!isChanged(tls.lookAgain()))
            #expect(try tls.secured().context === first)
        }
    }

    @Test func newFilesGiveANewContext() async throws {
        try await withFiles { files in
            let tls = TLSFiles(files.tls)
            let first = try tls.secured().context
            try files.use(certificate: "server", key: "server")
            #expect(isChanged(tls.lookAgain()))
            #expect(try tls.secured().context !== first)
            #expect(!isChanged(tls.lookAgain()), "told once")
        }
    }

    /// Between the two renames of a rotation the certificate is not the key's.
    @Test func halfOfARotationKeepsWhatWasGoodAndIsToldOnce() async throws {
        try await withFiles { files in
            let tls = TLSFiles(files.tls)
            let first = try tls.secured().context
            try files.use(certificate: "server", key: "client")
            #expect(isBroken(tls.lookAgain()))
            #expect(!isBroken(tls.lookAgain()))
            #expect(try tls.secured().context === first)
            try files.use(certificate: "server", key: "server")
            #expect(isChanged(tls.lookAgain()))
        }
    }

    @Test func filesThatWereNeverGoodAreAnErrorThatNamesThem() async throws {
        try await withFiles { files in
            try files.use(certificate: "server", key: "client")
            let tls = TLSFiles(files.tls)
            for _ in 0..<2 {
                let error = #expect(throws: EtcdError.self) { try tls.secured() }
                #expect(error?.code == .configuration)
                #expect(error?.message.contains("used.key") == true)
            }
        }
    }
}
