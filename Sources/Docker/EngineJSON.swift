// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import FoundationEssentials
import ServiceModel

/// Reads what an engine says. Lenient: engines leave out, set to null and add as their versions come and go, so only what
/// cannot be told apart without it is required.
enum EngineJSON {
    /// - Throws: `.malformed` when it is no JSON array of objects with an `Id`.
    static func containers(_ bytes: some Sequence<UInt8>) throws(DockerError) -> [Container] {
        do {
            return try JSONDecoder().decode([ListedContainer].self, from: Data(bytes)).map(\.container)
        } catch {
            throw DockerError(.malformed, "the container engine's list cannot be read", cause: error)
        }
    }

    /// - Parameter line: nil for one that was too long.
    /// - Returns: nil for an event that is of no use. One that cannot be read says that something has happened: one container
    ///   with strange labels must not cost the events of all others.
    static func event(_ line: [UInt8]?) -> EngineEvent? {
        guard let line, let told = try? JSONDecoder().decode(ToldEvent.self, from: Data(line)) else { return .other }
        return told.event
    }

    /// Of a container that was inspected, its image's name and the `SERVICE_` variables; the first of two equal names counts,
    /// as it does to a program. Nothing else of the answer is kept: variables hold passwords.
    /// - Throws: `.malformed` when it is no JSON object.
    static func inspection(_ bytes: some Sequence<UInt8>) throws(DockerError) -> Inspection {
        do {
            let config = try JSONDecoder().decode(Inspected.self, from: Data(bytes)).Config
            let variables = (config?.Env ?? []).filter { $0.hasPrefix("SERVICE_") }
            let pairs = variables.compactMap { variable -> (String, String)? in
                guard let equals = variable.firstIndex(of: "=") else { return nil }
                return (String(variable[..<equals]), String(variable[equals...].dropFirst()))
            }
            return Inspection(image: config?.Image ?? "", environment: Dictionary(pairs) { first, _ in first })
        } catch {
            throw DockerError(.malformed, "what the container engine says of a container cannot be read", cause: error)
        }
    }

    private struct Inspected: Decodable {
        struct Config: Decodable {
            let Env: [String]?
            let Image: String?
        }

        let Config: Config?
    }

    /// What an engine says of a request that it refuses; nil when it says nothing.
    static func message(_ bytes: some Sequence<UInt8>) -> String? {
        (try? JSONDecoder().decode(Refusal.self, from: Data(bytes)))?.message
    }

    private struct Refusal: Decodable {
        let message: String
    }
}

/// `ContainerSummary` of the API's description.
private struct ListedContainer: Decodable {
    let Id: String
    let Names: [String]?
    let State: String?
    let Labels: [String: String]?
    let Ports: [Port]?
    let NetworkSettings: Networks?
    let Image: String?
    let Status: String?
    let HostConfig: Host?
    /// From 1.52 on.
    let Health: Checked?

    struct Host: Decodable {
        let NetworkMode: String?
    }

    struct Checked: Decodable {
        let Status: String?
    }

    struct Port: Decodable {
        let IP: String?
        let PrivatePort: Int?
        let PublicPort: Int?
        let `Type`: String?
    }

    struct Networks: Decodable {
        let Networks: [String: Endpoint?]?
    }

    struct Endpoint: Decodable {
        let IPAddress: String?
        let GlobalIPv6Address: String?
        let EndpointID: String?
    }

    var container: Container {
        // A link gives its target a second name, below that of the container that is linked.
        let names = (Names ?? []).map { $0.drop { $0 == "/" } }.filter { !$0.contains("/") && !$0.isEmpty }
        let networks = (NetworkSettings?.Networks ?? [:]).mapValues { endpoint in
            [endpoint?.IPAddress, endpoint?.GlobalIPv6Address].compactMap { $0.flatMap { IPAddress($0) } }
        }
        let endpoints = (NetworkSettings?.Networks ?? [:]).values.compactMap { $0?.EndpointID }.filter { !$0.isEmpty }
        return Container(
            id: Id, names: names.map(String.init), state: ContainerState(rawValue: State ?? ""), labels: Labels ?? [:],
            ports: (Ports ?? []).compactMap(\.port), networks: networks, endpoints: Set(endpoints), image: Image ?? "",
            usesHostNetwork: HostConfig?.NetworkMode == "host",
            health: Health?.Status.flatMap(ContainerHealth.init(rawValue:)) ?? ContainerHealth(status: Status ?? ""))
    }
}

extension ListedContainer.Port {
    fileprivate var port: ContainerPort? {
        guard let number = PrivatePort.flatMap({ UInt16(exactly: $0) }), number > 0,
            let transport = ContainerPort.Transport(rawValue: Type ?? "tcp")
        else { return nil }
        guard let published = PublicPort.flatMap({ UInt16(exactly: $0) }), published > 0 else {
            return ContainerPort(number, transport)
        }
        // Podman leaves the address out when it is every one.
        let text = IP ?? ""
        guard let address = text.isEmpty ? IPAddress.unspecifiedV4 : IPAddress(text) else { return nil }
        return ContainerPort(
            number, transport, binding: ContainerPort.Binding(address: address, port: published))
    }
}

/// `EventMessage` of the API's description. What 1.52 no longer has (`status`, `id`, `from`) is not looked at.
private struct ToldEvent: Decodable {
    let `Type`: String?
    let Action: String?
    let Actor: Subject?

    struct Subject: Decodable {
        let ID: String?
        let Attributes: [String: String]?
    }

    var event: EngineEvent? {
        guard Type == "container" else { return .other }
        guard let action = Action, let id = Actor?.ID, !id.isEmpty else { return nil }
        // `exec_start: sh -c true`, `health_status: healthy`
        let word = action.prefix { $0 != ":" }
        let attributes = Actor?.Attributes ?? [:]
        let rest = action.dropFirst(word.count).drop { $0 == ":" || $0 == " " }
        let health = word == "health_status" ? ContainerHealth(rawValue: String(rest)) : nil
        return .container(
            ContainerEvent(
                action: String(word), container: id, name: attributes["name"].map { String($0.drop { $0 == "/" }) },
                signal: attributes["signal"].flatMap { Int($0) }, health: health))
    }
}
