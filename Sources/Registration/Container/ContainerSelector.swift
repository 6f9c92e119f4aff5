// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Docker

/// The port of a container that an operator means.
package struct ContainerSelector: Sendable, Hashable, CustomStringConvertible {
    /// Digits of an id's beginning that are taken for one, as many as an engine prints.
    package static let shortestID = 12

    /// A container's name without the leading slash, or an id, or the first digits of one.
    package let name: String
    /// Inside the container.
    package let port: UInt16
    package let transport: ContainerPort.Transport

    /// - Parameter name: of the container, with or without the leading slash; or its id, or 12 hexadecimal digits of it at
    ///   least.
    package init(name: String, port: UInt16, transport: ContainerPort.Transport = .tcp) {
        self.name = name.hasPrefix("/") ? String(name.dropFirst()) : name
        self.port = port
        self.transport = transport
    }

    package var description: String { "\(name) \(port)/\(transport.rawValue)" }

    /// Which one is meant. As engines do: a whole id before a name, a name before the beginning of an id, and of that only
    /// an unambiguous one.
    package func container(among containers: [Container]) -> Container? {
        if let found = containers.first(where: { $0.id == name }) { return found }
        if let found = containers.first(where: { $0.names.contains(name) }) { return found }
        let found = containers.filter { isBeginning(of: $0.id) }
        return found.count == 1 ? found.first : nil
    }

    private func isBeginning(of id: String) -> Bool {
        name.utf8.count >= Self.shortestID && id.utf8.starts(with: name.utf8)
    }
}
