// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// A cluster with users, and what looks at it as one of them.
struct EtcdUserScene {
    let cluster: EtcdCluster
    let root: EtcdUser

    init(on cluster: EtcdCluster) async throws {
        self.cluster = cluster
        root = try await cluster.enableUsers()
    }

    /// Of each member: passwords that cost next to nothing, since what is tested is not bcrypt.
    static let arguments = ["--bcrypt-cost", "4"]

    /// Reads and writes what every command needs.
    func operatorOfAll(_ name: String) async throws -> EtcdUser {
        try await root.makeUser(
            name,
            [
                (.readwrite, "/services/"), (.readwrite, "/services-nodes/"),
                (.readwrite, "/services-holds/"), (.readwrite, "/services-overrides/"),
            ])
    }

    /// - Returns: the registrator, once root sees its key.
    func register(_ service: String, _ endpoint: Endpoint, as user: EtcdUser, _ more: [String] = []) async throws
        -> RegisterProcess
    {
        try await cluster.register(service, endpoint, user.flags + more, seenBy: root)
    }

    func proxy(_ service: String, as user: EtcdUser, _ more: [String] = []) async throws -> Proxy {
        try await cluster.proxy(service, user.flags + more)
    }

    func mirror(_ prefix: String, as user: EtcdUser, _ more: [String] = []) async throws -> MirrorProcess {
        try await cluster.mirror(prefix, ["--user", user.name, "--password-file", user.passwordFile] + more)
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
        let token = try await root.token()
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

/// A cluster with users for `body`.
/// - Parameters:
///   - version: nil for `EtcdCluster.version`.
///   - tokenSeconds: of tokens that nobody uses; nil: etcd's own 300.
func withEtcdUsers(
    _ version: EtcdProcess.Version? = nil, tokenSeconds: Int? = nil, load: Load = .cluster, test: String = #function,
    _ body: (EtcdUserScene) async throws -> Void
) async throws {
    let tokens = tokenSeconds.map { ["--auth-token-ttl", "\($0)"] } ?? []
    try await withEtcdCluster(version, more: EtcdUserScene.arguments + tokens, load: load, test: test) { cluster in
        try await body(EtcdUserScene(on: cluster))
    }
}

/// Rewrites a file in one step.
func overwrite(_ path: String, with text: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
}
