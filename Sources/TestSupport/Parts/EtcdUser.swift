// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
package import ServiceModel

/// A cluster as one of its users sees it, through etcdctl: the JSON gateway's side of `EtcdByHand` has no user.
package struct EtcdUser: EtcdByHand {
    package let cluster: EtcdCluster
    /// The member that is asked.
    package private(set) var etcd: EtcdProcess
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
    /// And finds its cluster.
    package var arguments: [String] { cluster.arguments + flags }

    /// The same user, who asks another member.
    package func asking(_ member: EtcdProcess) -> EtcdUser {
        var user = self
        user.etcd = member
        return user
    }

    /// What a role lets its users do with the keys below a prefix.
    package enum Permission: String, Sendable { case read, write, readwrite }

    /// Makes a user with a role of its own, of the same name; to be asked of root.
    package func makeUser(_ name: String, _ permissions: [(Permission, prefix: String)]) async throws -> EtcdUser {
        let user = try EtcdUser(name, of: cluster)
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

    fileprivate init(_ name: String, of cluster: EtcdCluster) throws {
        self.cluster = cluster
        etcd = cluster.members[0]
        self.name = name
        password = "s3cret-\(UUID().uuidString)"
        passwordFile = "\(try cluster.stage.directory())/password-of-\(name)"
        try Data("\(password)\n".utf8).write(to: URL(fileURLWithPath: passwordFile))
    }
}

extension EtcdCluster {
    /// Switches authentication on; from then on a member's own `ctl` and all that looks at keys is refused.
    /// - Returns: root, who may do everything.
    package func enableUsers() async throws -> EtcdUser {
        let root = try EtcdUser("root", of: self)
        let member = root.etcd
        try await member.ctl("user", "add", "root:\(root.password)")
        try await member.ctl("role", "add", "root")
        try await member.ctl("user", "grant-role", "root", "root")
        try await member.ctl("auth", "enable")
        // The others hear of it a moment later, and until then let anybody in; to answer a read they have to know all.
        for member in members { try await awaitService(of: member, as: root) }
        return root
    }
}

extension EtcdUser {
    /// A token as etcd gives them out.
    package func token() async throws -> String {
        let answer: TokenAnswer = try await ask(
            "auth/authenticate", #"{"name":"\#(name)","password":"\#(password)"}"#)
        return answer.token
    }
}

private struct TokenAnswer: Decodable, Sendable {
    let token: String
}
