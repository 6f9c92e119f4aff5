// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
package import ServiceModel

/// An etcd as one of its users sees it, through etcdctl: the JSON gateway's side of `EtcdByHand` has no user.
package struct EtcdUser: EtcdByHand {
    package let etcd: EtcdProcess
    package let name: String
    package let password: String
    /// Where the password stands too.
    package let passwordFile: String

    package var endpoint: Endpoint { etcd.endpoint }
    package var place: Network { etcd.place }

    package func control(_ arguments: [String]) async throws -> Outcome {
        try await etcd.control(["--user", "\(name):\(password)"] + arguments)
    }

    /// By which a legation command is this user.
    package var flags: [String] { ["--etcd-user", name, "--etcd-password-file", passwordFile] }
    /// And finds its etcd.
    package var arguments: [String] { etcd.arguments + flags }

    /// What a role lets its users do with the keys below a prefix.
    package enum Permission: String, Sendable { case read, write, readwrite }

    /// Makes a user with a role of its own, of the same name; to be asked of root.
    package func makeUser(_ name: String, _ permissions: [(Permission, prefix: String)]) async throws -> EtcdUser {
        let user = try EtcdUser(name, of: etcd)
        try await ctl("user", "add", "\(name):\(user.password)")
        try await ctl("role", "add", name)
        for (permission, prefix) in permissions { try await grant(permission, prefix, to: name) }
        try await ctl("user", "grant-role", name, name)
        return user
    }

    package func grant(_ permission: Permission, _ prefix: String, to role: String) async throws {
        try await ctl("role", "grant-permission", "--prefix=true", role, permission.rawValue, prefix)
    }

    package func revoke(_ prefix: String, from role: String) async throws {
        try await ctl("role", "revoke-permission", "--prefix=true", role, prefix)
    }

    fileprivate init(_ name: String, of etcd: EtcdProcess) throws {
        self.etcd = etcd
        self.name = name
        password = "s3cret-\(UUID().uuidString)"
        passwordFile = "\(try etcd.stage.directory())/password-of-\(name)"
        try Data("\(password)\n".utf8).write(to: URL(fileURLWithPath: passwordFile))
    }
}

extension EtcdProcess {
    /// Switches authentication on; from then on `ctl` and all that looks at keys is refused.
    /// - Returns: root, who may do everything.
    package func enableUsers() async throws -> EtcdUser {
        let root = try EtcdUser("root", of: self)
        try await ctl("user", "add", "root:\(root.password)")
        try await ctl("role", "add", "root")
        try await ctl("user", "grant-role", "root", "root")
        try await ctl("auth", "enable")
        return root
    }

    /// Stops and starts it; with users, nobody without a password is told that it serves.
    package func restart(as root: EtcdUser) async throws {
        try await restart(awaitHealth: false)
        try await waitFor("\(self.endpoint) to serve") { try await root.control(["get", "none"]).succeeded }
    }
}

extension EtcdProcess {
    /// A token as etcd gives them out.
    package func token(of user: EtcdUser) async throws -> String {
        let answer: TokenAnswer = try await ask(
            "auth/authenticate", #"{"name":"\#(user.name)","password":"\#(user.password)"}"#)
        return answer.token
    }
}

private struct TokenAnswer: Decodable, Sendable {
    let token: String
}
