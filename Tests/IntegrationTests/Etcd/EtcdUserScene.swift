// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// An etcd with users, and what looks at it as one of them.
struct EtcdUserScene {
    let stage: Stage
    let etcd: EtcdProcess
    let root: EtcdUser

    /// - Parameter tokenSeconds: of tokens that nobody uses; nil: etcd's own 300.
    init(on stage: Stage, _ version: EtcdProcess.Version, tokenSeconds: Int? = nil) async throws {
        self.stage = stage
        // Passwords that cost next to nothing: what is tested is not bcrypt.
        let tokens = tokenSeconds.map { ["--auth-token-ttl", "\($0)"] } ?? []
        etcd = try await stage.etcd(version, more: ["--bcrypt-cost", "4"] + tokens)
        root = try await etcd.enableUsers()
    }

    /// Reads and writes what every command needs.
    func operatorOfAll(_ name: String) async throws -> EtcdUser {
        try await root.makeUser(
            name,
            [
                (.readwrite, "/services/"), (.readwrite, "/services-nodes/"),
                (.readwrite, "/services-holds/"),
            ])
    }

    /// - Returns: the registrator, once root sees its key.
    func register(_ service: String, _ endpoint: Endpoint, as user: EtcdUser, _ more: [String] = []) async throws
        -> Registrator
    {
        let process = try await stage.legation(
            stage.registerArguments(service, endpoint, etcd: etcd, user.flags + more))
        let key = "/services/\(service)/hostA:\(endpoint.address):\(endpoint.port)"
        try await waitFor("\(key) in etcd") { try await !root.table(key).isEmpty }
        return Registrator(process: process, key: key, endpoint: endpoint)
    }

    func proxy(_ service: String, as user: EtcdUser, _ more: [String] = []) async throws -> Proxy {
        try await stage.proxy(service, etcd: etcd, user.flags + more)
    }

    func mirror(_ prefix: String, as user: EtcdUser, _ more: [String] = []) async throws -> MirrorProcess {
        try await stage.mirror(prefix, etcd: etcd, ["--user", user.name, "--password-file", user.passwordFile] + more)
    }

    /// The lease of a key that `mirror` or `register` keeps, as etcdctl writes it; waited for, since one that ended while
    /// etcd was away is replaced.
    func lease(ofKey key: String) async throws -> String {
        try await waitForValue("a lease with \(key)") {
            for line in try await root.ctl("lease", "list").split(separator: "\n").dropFirst() {
                let lease = String(line)
                if try await root.ctl("lease", "timetolive", lease, "--keys").contains(key) { return lease }
            }
            return nil
        }
    }

    /// Fails when a line of a process shows a password, or what may be a token.
    func expectNoSecrets(in processes: ProcessUnderTest..., of users: EtcdUser...) async throws {
        // So that the pattern is one that tokens do match.
        let token = try await etcd.token(of: root)
        try #require(token.firstMatch(of: Self.tokens) != nil, "a token looks like \(token)")
        for process in processes {
            #expect(process.lines.count > 3, "it says something: \(process)")
            for line in process.lines {
                #expect(users.allSatisfy { !line.text.contains($0.password) }, "\(line.text)")
                #expect(line.text.firstMatch(of: Self.tokens) == nil, "\(line.text)")
            }
        }
    }

    /// etcd's simple tokens: 16 letters and a number.
    private static var tokens: Regex<Substring> { /\b[A-Za-z]{16}\.[0-9]+\b/ }
}

/// Rewrites a file in one step.
func overwrite(_ path: String, with text: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
}
