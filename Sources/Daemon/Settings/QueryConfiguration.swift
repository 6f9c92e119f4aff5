// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
package import Registry
package import ServiceModel

/// `legation services [SERVICE]`, `legation nodes`, `legation check-etcd`: ask once, print, end.
package struct QueryConfiguration: Sendable {
    package let etcd: EtcdAccess
    package let logLevel: Logger.Level
    /// Only for `services`: the one service to show.
    package let service: ServiceName?
    /// Only for `services`: what a proxy with these rules would use.
    package let targetRules: [TargetPolicy.Rule]
    package let printsJSON: Bool
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
        targetRules = command == .services ? try settings.values(.allowTarget) { TargetPolicy.Rule($0) } : []
        printsJSON = try settings.isOn(.json)
        writesProbe = command == .checkEtcd ? try settings.isOn(.write) : false
        etcd = try EtcdAccess(settings: settings)
    }
}
