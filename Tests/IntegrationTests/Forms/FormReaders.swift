// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import TestSupport

/// What CoreDNS answers from etcd, by the README of its etcd plugin (https://coredns.io/plugins/etcd/): the labels of a
/// name from right to left are a path below `/skydns`, everything below that path answers for the name, and the value is
/// SkyDNS' message. Values of another type than the message's end the whole answer, as they do there.
struct SkyDNSReader {
    struct Record: Hashable {
        let priority: Int
        let weight: Int
        let port: Int
        let target: String
        let ttl: Int

        /// As `dig +short SRV` prints it.
        var text: String { "\(priority) \(weight) \(port) \(target)" }
    }

    private struct Message: Decodable {
        let host: String?
        let port: Int?
        let priority: Int?
        let weight: Int?
        let ttl: Int?
    }

    let keys: [EtcdKey]

    /// The path that is looked up for a name; names come in lower case.
    static func path(of name: String) -> String {
        "/skydns/" + name.lowercased().split(separator: ".").reversed().joined(separator: "/")
    }

    /// `dig SRV`. An entry whose host is an address has its own name for a target.
    func services(_ name: String) throws -> [Record] {
        let path = Self.path(of: name)
        return try keys.filter { $0.key.hasPrefix(path + "/") }.map { key in
            let message = try message(key)
            let host = message.host ?? ""
            let isAddress = host.contains(":") || host.allSatisfy { $0.isNumber || $0 == "." }
            let own = key.key.split(separator: "/").dropFirst().reversed().joined(separator: ".")
            return Record(
                priority: message.priority ?? 10, weight: message.weight ?? 100, port: message.port ?? 0,
                target: (isAddress ? own : host) + ".", ttl: message.ttl ?? 300)
        }
    }

    /// `dig A` or `dig AAAA`: of everything below the name, else of the name itself.
    func addresses(_ name: String) throws -> [String] {
        let path = Self.path(of: name)
        let below = keys.filter { $0.key.hasPrefix(path + "/") }
        return try (below.isEmpty ? keys.filter { $0.key == path } : below).compactMap { try message($0).host }
    }

    private func message(_ key: EtcdKey) throws -> Message {
        try JSONDecoder().decode(Message.self, from: Data(key.value.utf8))
    }
}

/// What gRPC's resolver in etcd's client makes of keys, by https://etcd.io/docs/v3.5/dev-guide/grpc_naming/: every key
/// below the target and a slash, whose value is JSON with `Addr`, is an endpoint. A name for `Metadata` that Go cannot
/// compare ends the program (https://github.com/etcd-io/etcd/issues/19700).
struct NamingReader {
    let keys: [EtcdKey]

    /// - Parameter target: as it is dialled, `etcd:///foo/bar/my-service`.
    func endpoints(_ target: String) throws -> [String] {
        guard target.hasPrefix("etcd:///") else { throw Unexpected("\(target) is no target of etcd's resolver") }
        let prefix = target.dropFirst("etcd:///".count) + "/"
        return try keys.filter { $0.key.hasPrefix(prefix) }.map { key in
            // Op is an unsigned number, 0 for "add"; older entries have none.
            guard (key.json["Op"] as? Int ?? 0) == 0, let address = key.json["Addr"] as? String else {
                throw Unexpected("\(key) is no endpoint")
            }
            if let metadata = key.json["Metadata"], metadata is [String: Any] || metadata is [Any] {
                throw Unexpected("\(key): gRPC ends its program at such metadata")
            }
            return address
        }
    }
}

/// What registrator wrote, by its docs/user/backends.md (`<prefix>/<service-name>/<service-id> = <ip>:<port>`) and
/// docs/user/services.md (`<hostname>:<container-name>:<exposed-port>[:udp if udp]`).
struct RegistratorReader {
    struct Service: Hashable {
        let name: String
        let host: String
        let container: String
        let exposedPort: String
        let isUDP: Bool
        let address: String
        let port: Int
    }

    let keys: [EtcdKey]

    func services(below prefix: String) throws -> [Service] {
        try keys.filter { $0.key.hasPrefix(prefix + "/") }.map { key in
            let path = key.key.dropFirst(prefix.count + 1).split(separator: "/")
            let id = (path.last ?? "").split(separator: ":").map(String.init)
            let colon = key.value.lastIndex(of: ":")
            guard path.count == 2, (3...4).contains(id.count), id.count == 3 || id[3] == "udp", let colon,
                let port = Int(key.value[key.value.index(after: colon)...])
            else { throw Unexpected("\(key) is no service of registrator's") }
            return Service(
                name: String(path[0]), host: id[0], container: id[1], exposedPort: id[2], isUDP: id.count == 4,
                address: String(key.value[..<colon]), port: port)
        }
    }
}
