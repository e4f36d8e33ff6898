// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.witness;

import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.platform.commons.support.AnnotationSupport;
import org.opentest4j.TestAbortedException;

/** Looks for the file or directory that {@link NeedsSharedData} names. */
public final class SharedDataCondition implements ExecutionCondition {
    /** Makes a condition; it has no state. */
    public SharedDataCondition() {}

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        String path = AnnotationSupport.findAnnotation(context.getElement(), NeedsSharedData.class)
                .orElseThrow()
                .value();
        try {
            return ConditionEvaluationResult.enabled("there is " + SharedData.find(path));
        } catch (TestAbortedException absent) {
            return ConditionEvaluationResult.disabled(absent.getMessage());
        }
    }
}
