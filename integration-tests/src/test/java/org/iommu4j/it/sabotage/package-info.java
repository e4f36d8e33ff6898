// SPDX-License-Identifier: Apache-2.0

/**
 * Broken parts, put between whole ones from outside: a driver's memory that forgets a bit, a driver that forgets a
 * mapping. Each must turn a case or a promise of the contract red, or nobody would notice the real thing.
 */
package org.iommu4j.it.sabotage;
