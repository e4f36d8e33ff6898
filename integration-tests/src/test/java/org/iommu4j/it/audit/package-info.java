// SPDX-License-Identifier: Apache-2.0

/**
 * Audits of real hosts: everything known of them gives an answer or a clear refusal, and agrees with other witnesses.
 */
package org.iommu4j.it.audit;
