// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.release;

/** A value of a rule that has more to say than its name; enums of rules are such. */
public interface RuleValue {
    /** Returns what the value means, as half a sentence without a full stop. */
    String words();
}
