// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// One `[SERVICE=]VALUE`: what holds for one linked service, or for all that have none of their own.
package struct PerService<Value: Sendable>: Sendable {
    package let service: ServiceName?
    package let value: Value

    /// A text that is a value as it stands names no service: `zone=eu` is about zones.
    /// - Returns: nil when `text` is not of that form, or `parse` says nil.
    package init?(_ text: String, _ parse: (String) -> Value?) {
        if let value = parse(text) {
            (service, self.value) = (nil, value)
            return
        }
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let name = ServiceName(parts[0]), let value = parse(parts[1]) else { return nil }
        (service, self.value) = (name, value)
    }
}

/// What holds for some services, and for all that have none of their own.
package struct ServiceValues<Value: Sendable>: Sendable {
    package var general: Value?
    package var own: [ServiceName: Value] = [:]

    package init() {}

    package subscript(service: ServiceName) -> Value? { own[service] ?? general }
}

extension SettingValues {
    /// - Parameters:
    ///   - services: those that may be named; nil for any.
    ///   - mayBeGeneral: whether a value may stand for every service.
    /// - Throws: also when one service is named twice, or none.
    package func serviceValues<Value: Sendable>(
        _ name: SettingName, among services: [ServiceName]? = nil, mayBeGeneral: (Value) -> Bool = { _ in true },
        _ parse: (String) -> Value?
    ) throws(UsageError) -> ServiceValues<Value> {
        var values = ServiceValues<Value>()
        for (given, item) in try items(name, among: services, parse) {
            let allowed = Setting.named(name).allowedForm
            if let service = item.service {
                guard values.own.updateValue(item.value, forKey: service) == nil else {
                    throw UsageError(given.key, value: given.text, allowed: "\(allowed); each service once")
                }
            } else {
                guard values.general == nil, mayBeGeneral(item.value) else {
                    throw UsageError(given.key, value: given.text, allowed: "\(allowed); without SERVICE= once")
                }
                values.general = item.value
            }
        }
        return values
    }

    /// The same for settings of which a service may have several, in order.
    /// - Throws: also when a service would have more than `most`.
    package func serviceLists<Value: Sendable>(
        _ name: SettingName, among services: [ServiceName]? = nil, most: Int = .max, _ parse: (String) -> Value?
    ) throws(UsageError) -> ServiceValues<[Value]> {
        var values = ServiceValues<[Value]>()
        for (given, item) in try items(name, among: services, parse) {
            let count: Int
            if let service = item.service {
                values.own[service, default: []].append(item.value)
                count = values.own[service]?.count ?? 0
            } else {
                values.general = (values.general ?? []) + [item.value]
                count = values.general?.count ?? 0
            }
            guard count <= most else {
                let allowed = Setting.named(name).allowedForm
                throw UsageError(given.key, value: given.text, allowed: "\(allowed); at most \(most) a service")
            }
        }
        return values
    }

    /// What each of `services` is given; those without a value are missing.
    /// - Throws: also when a service that is not linked is named.
    package func perService<Value: Sendable>(
        _ name: SettingName, _ services: [ServiceName], mayBeGeneral: (Value) -> Bool = { _ in true },
        _ parse: (String) -> Value?
    ) throws(UsageError) -> [ServiceName: Value] {
        let values = try serviceValues(name, among: services, mayBeGeneral: mayBeGeneral, parse)
        var perService: [ServiceName: Value] = [:]
        for service in services { perService[service] = values[service] }
        return perService
    }

    private func items<Value: Sendable>(
        _ name: SettingName, among services: [ServiceName]?, _ parse: (String) -> Value?
    ) throws(UsageError) -> [(given: Given, item: PerService<Value>)] {
        var items: [(given: Given, item: PerService<Value>)] = []
        for given in try given(name) {
            guard let item = PerService(given.text, parse) else {
                throw UsageError(given.key, value: given.text, allowed: Setting.named(name).allowedForm)
            }
            if let services, let service = item.service, !services.contains(service) {
                let linked = services.map(\.description).joined(separator: ", ")
                let allowed = "\(Setting.named(name).allowedForm); SERVICE a linked one (\(linked))"
                throw UsageError(given.key, value: given.text, allowed: allowed)
            }
            items.append((given, item))
        }
        return items
    }
}
