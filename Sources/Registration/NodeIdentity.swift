// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Docker
package import ServiceModel

/// Who a registrator process is to everybody else.
package struct NodeIdentity: Sendable, Hashable {
    /// What an error message says of the allowed form of a node's name.
    package static let allowedForm = "[A-Za-z0-9._:-]+, at most 100 bytes"

    package let node: String
    /// The address that it publishes.
    package let address: IPAddress
    package let zone: String?
    /// Of the program.
    package let version: String
    /// Tells machines that call themselves the same apart: see `bootHash`.
    package let boot: String
    /// Random for each start of the process.
    package let process: String

    package init(node: String, address: IPAddress, zone: String?, version: String, boot: String, process: String) {
        self.node = node
        self.address = address
        self.zone = zone
        self.version = version
        self.boot = boot
        self.process = process
    }

    /// What the surroundings say, read by whoever can.
    package struct Surroundings: Sendable {
        /// `--node`.
        package var node: String?
        package var hostName: String?
        /// `/.dockerenv` or `/run/.containerenv` exists: the host name is then a container's, gone with it.
        package var isContainer: Bool
        /// The text of `/proc/sys/kernel/random/boot_id`, which containers share with their host.
        package var bootID: String

        package init(node: String?, hostName: String?, isContainer: Bool, bootID: String) {
            self.node = node
            self.hostName = hostName
            self.isContainer = isContainer
            self.bootID = bootID
        }

        /// The same, knowing what an engine runs: a host whose name is the beginning of a container's id is that container.
        package func besides(_ containers: [Container]) -> Surroundings {
            guard let hostName, hostName.utf8.count >= ContainerSelector.shortestID else { return self }
            var surroundings = self
            let isOne = containers.contains { $0.id.utf8.starts(with: hostName.utf8) }
            surroundings.isContainer = isContainer || isOne
            return surroundings
        }
    }

    /// Decides the name: `--node`, else on a host its name, else in a container the address that we publish.
    /// - Parameters:
    ///   - address: the address that we publish.
    ///   - random: 64 random bits, for the process.
    /// - Throws: an error that names `--node`.
    package static func resolve(
        _ surroundings: Surroundings, address: IPAddress, zone: String?, version: String, random: UInt64
    ) throws(IdentityError) -> NodeIdentity {
        if let given = surroundings.node {
            guard isAllowed(given) else {
                throw IdentityError(flag: "--node", message: "\(given) is no node's name; allowed is \(allowedForm)")
            }
        }
        let found = surroundings.isContainer ? address.description : surroundings.hostName
        guard let node = surroundings.node ?? found.flatMap({ isAllowed($0) ? $0 : nil }) else {
            throw IdentityError(
                flag: "--node", message: "this host has no name that can be used; give one of the form \(allowedForm)")
        }
        return NodeIdentity(
            node: node, address: address, zone: zone, version: version, boot: bootHash(surroundings.bootID),
            process: hex(random))
    }

    /// A hash of a boot id without the white space around it: machines need telling apart, their boot ids need not be in
    /// everybody's hands.
    package static func bootHash(_ bootID: String) -> String { bootID.utf8.filter { $0 != 10 && $0 != 32 }.fnv1a }

    private static func hex(_ bits: UInt64) -> String {
        let digits = String(bits, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Whether text can be a node's name, or a zone's.
    package static func isAllowed(_ node: String) -> Bool {
        (1...100).contains(node.utf8.count)
            && node.utf8.allSatisfy { ServiceName.isAllowed($0) || $0 == UInt8(ascii: ":") }
    }
}

/// Who we are, or where, cannot be told; exit 64.
package struct IdentityError: Error, Hashable, CustomStringConvertible {
    /// What would tell.
    package let flag: String
    package let message: String

    package var description: String { "\(flag): \(message)" }
}
