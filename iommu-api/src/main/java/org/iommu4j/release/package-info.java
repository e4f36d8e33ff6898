// SPDX-License-Identifier: Apache-2.0

/**
 * What Linux does differently from release to release, as data: one rule for each thing that changed.
 *
 * <p>Read in this order: {@link org.iommu4j.release.Evidence}, {@link org.iommu4j.release.RulePeriod}, {@link
 * org.iommu4j.release.ReleaseRule}. A module declares its rules in its own class of rules; {@link
 * org.iommu4j.release.RuleRecords} makes of them, once for each opened driver, the record that the hot paths read.
 * {@link org.iommu4j.release.RuleSheet} is the same rules for readers, {@link org.iommu4j.release.RuleFixes} has single
 * rules tried with other values.
 *
 * <p>The package knows no module's rules and depends on {@link org.iommu4j.LinuxRelease} alone.
 */
package org.iommu4j.release;
