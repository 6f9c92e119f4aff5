// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
package import ServiceModel

/// The release binary that integration tests drive.
package enum LegationBinary {
    /// `LEGATION_BINARY`, else `build/legation` under the package.
    package static var path: String {
        get throws {
            let path = ProcessInfo.processInfo.environment["LEGATION_BINARY"] ?? "\(PackageRoot.path)/build/legation"
            guard FileManager.default.isExecutableFile(atPath: path) else {
                throw MissingPart("no binary at \(path): make release")
            }
            return path
        }
    }

    package static func command(
        _ arguments: [String], environment: [String: String] = [:], networkOf: ProcessUnderTest? = nil
    ) throws -> Command {
        try Command(path, arguments, environment: environment, networkOf: networkOf)
    }
}

extension ProcessUnderTest {
    /// The bound address of a link or forward, from the process's `listening` line, waited for.
    /// - Parameter link: as it is named in the line; nil takes the first.
    package func listeningEndpoint(link: String? = nil, within limit: Duration = .seconds(20)) async throws -> Endpoint
    {
        try await waitForValue("listening line of \(command); it said:\n\(lastLines())", within: limit) {
            for line in lines(containing: "listening") {
                let fields = LogFields(line.text)
                guard link == nil || fields["link"] == link, let address = fields["address"] else { continue }
                guard let endpoint = Endpoint(address) else { throw MissingPart("address in: \(line.text)") }
                return endpoint.reachable
            }
            if let exitStatus { throw MissingPart("ended with \(exitStatus): \(lastLines())") }
            return nil
        }
    }
}

extension Endpoint {
    /// What a client on this machine dials to reach a listener here.
    fileprivate var reachable: Endpoint {
        address.isUnspecified ? Endpoint(address.isV4 ? .loopbackV4 : .loopbackV6, port: port) : self
    }
}

/// The `key=value` fields of a log line; values with blanks stand in double quotes.
package struct LogFields: Sendable {
    private var fields: [String: String] = [:]

    package init(_ line: String) {
        var rest = line[...]
        while let equals = rest.firstIndex(of: "=") {
            let key = rest[..<equals].split(separator: " ").last.map(String.init) ?? ""
            rest = rest[rest.index(after: equals)...]
            if rest.first == "\"" {
                rest = rest.dropFirst()
                fields[key] = Self.takeQuoted(&rest)
            } else {
                let end = rest.firstIndex(of: " ") ?? rest.endIndex
                fields[key] = String(rest[..<end])
                rest = rest[end...]
            }
        }
    }

    package subscript(_ key: String) -> String? { fields[key] }

    private static func takeQuoted(_ rest: inout Substring) -> String {
        var value = ""
        while let character = rest.popFirst(), character != "\"" {
            if character == "\\", let escaped = rest.popFirst() {
                value.append(escaped)
            } else {
                value.append(character)
            }
        }
        return value
    }
}
