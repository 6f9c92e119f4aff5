// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Discovery
package import Logging
private import Registry
package import ServiceModel

/// `legation services [SERVICE]`, `legation nodes`, `legation check-etcd`: ask once, print, end.
package struct QueryConfiguration: Sendable {
    package let etcd: EtcdAccess
    package let logLevel: Logger.Level
    /// Only for `services`: the one service to show.
    package let service: ServiceName?
    /// Only for `services`: the settings of the proxy that it looks through.
    package let view: LinkView
    package let printsJSON: Bool
    /// Only for `services` and `nodes`: stays, and shows each change.
    package let watches: Bool
    /// Only for `check-etcd`.
    package let writesProbe: Bool

    package init(
        _ command: CommandName, arguments: [String], settings: SettingValues
    ) throws(UsageError) {
        // The answer, or the complaint that there is none, is all that is wanted.
        logLevel = try settings.logLevel(default: .error)
        let allowedCount = command == .services ? 1 : 0
        if arguments.count > allowedCount {
            let form = command == .services ? "at most one SERVICE" : "no argument"
            throw UsageError("argument", value: arguments[allowedCount], allowed: form)
        }
        if let text = arguments.first {
            guard let name = ServiceName(text) else {
                throw UsageError("SERVICE", value: text, allowed: ServiceName.allowedForm)
            }
            service = name
        } else {
            service = nil
        }
        view = command == .services ? try Self.view(settings) : LinkView()
        printsJSON = try settings.isOn(.json)
        watches = command == .services || command == .nodes ? try settings.isOn(.watch) : false
        writesProbe = command == .checkEtcd ? try settings.isOn(.write) : false
        etcd = try EtcdAccess(settings: settings)
    }
    private static func view(_ settings: SettingValues) throws(UsageError) -> LinkView {
        let (general, own) = try settings.selections(at: try settings.place())
        let sources = try settings.serviceValues(.format, mayBeGeneral: { $0.prefix == nil }) { EntrySource($0) }
        let resolving = try settings.serviceValues(.resolveNames) { ["on": true, "off": false][$0] }
        return LinkView(
            policy: TargetPolicy(rules: try settings.values(.allowTarget) { TargetPolicy.Rule($0) }),
            sources: sources.own, otherSources: sources.general ?? EntrySource(),
            resolving: resolving, general: general, selections: own)
    }
}
